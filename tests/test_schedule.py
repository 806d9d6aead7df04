"""Learning rates: where they begin, where they fall, and where they end."""

from dataclasses import replace

import pytest
from small_runs import RECIPE

from bntt.training.by_recipe import recipe_rate
from bntt.training.schedule import learning_rate


def rates(per_epoch=3, **changes):
    recipe = replace(RECIPE, **changes)
    total = recipe.epochs * per_epoch
    return [recipe_rate(recipe, step, per_epoch) for step in range(total)]


# 90 * 0.7 is 62.99... in floating point, so that the authors' comparison never drops there
@pytest.mark.parametrize("epochs", [10, 90, 100, 300])
def test_steps_drop_at_50_70_and_90_percent(epochs):
    got = rates(epochs=epochs, schedule="step", lr=0.3)
    want = []
    for drops, (first, last) in enumerate([(0, 50), (50, 70), (70, 90), (90, 100)]):
        want += [0.3 / 10**drops] * (3 * epochs * (last - first) // 100)
    assert got == pytest.approx(want, rel=1e-12)


def test_steps_of_an_odd_number_of_epochs_drop_after_the_share():
    got = rates(1, epochs=7, schedule="step", lr=1.0)  # 3.5, 4.9 and 6.3 epochs
    assert got == pytest.approx([1, 1, 1, 1, 0.1, 0.01, 0.01], rel=1e-12)


def test_a_cosine_falls_from_the_rate_to_almost_nothing():
    got = rates(epochs=50, schedule="cosine", lr=0.3)
    assert got[0] == 0.3
    assert got[len(got) // 2] == pytest.approx(0.15)
    assert 0 < got[-1] < 1e-3 * 0.3
    assert got == sorted(got, reverse=True)


@pytest.mark.parametrize("warmup", [0.1, 0.2, 0.5])
def test_one_cycle_rises_to_the_rate_and_falls_to_almost_nothing(warmup):
    got = rates(10, epochs=20, schedule="one_cycle", lr=0.3, warmup=warmup)
    peak = round(200 * warmup)
    assert max(got) == got[peak] == pytest.approx(0.3)
    assert got[0] == pytest.approx(0.04 * 0.3)
    assert got[: peak + 1] == sorted(got[: peak + 1])
    assert got[peak:] == sorted(got[peak:], reverse=True)
    assert 0 < got[-1] < 1e-3 * 0.3
    # a straight line up
    assert got[peak // 2] == pytest.approx((got[0] + got[peak]) / 2)


def test_a_schedule_needs_no_recipe():
    rates = [learning_rate(k, lr=0.5, epochs=2, steps_per_epoch=5) for k in range(10)]
    assert rates == pytest.approx([0.5] * 5 + [0.05] * 5)


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="Unknown schedule 'cosin'. Did you mean 'cosine'"):
        learning_rate(0, lr=0.5, epochs=2, steps_per_epoch=5, schedule="cosin")
