"""Losses against sums written out, learning rates, and an optimiser that comes back."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_runs import RECIPE
from torch import nn

from bntt.layers.neuron import single_steps
from bntt.training.losses import loss
from bntt.training.optimizer import make_optimizer, optimizer_tensors, restore_optimizer
from bntt.training.schedule import learning_rate

T, N, K = 4, 3, 5


@pytest.fixture
def steps():
    """The read-outs of single steps."""
    return torch.randn(T, N, K, dtype=torch.float64)


def running_means(steps):
    return torch.stack([steps[: t + 1].mean(0) for t in range(len(steps))])


def cross_entropy(logits, labels, smoothing=0.0):
    """Of one step, written out; smoothing mixes in the mean over all classes."""
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        log_sum = math.log(sum(map(math.exp, row)))
        uniform = sum(log_sum - x for x in row) / len(row)
        total += (1 - smoothing) * (log_sum - row[label]) + smoothing * uniform
    return total / len(labels)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["last", "every_mean", "every_step"])
def test_a_loss_is_the_cross_entropy_of_what_it_names(steps, kind, smoothing):
    means, labels = running_means(steps), torch.tensor([1, 0, 4])
    named = {"last": means[-1:], "every_mean": means, "every_step": steps}[kind]
    want = sum(cross_entropy(logits, labels, smoothing) for logits in named) / len(named)
    recipe = replace(RECIPE, loss=kind, label_smoothing=smoothing)
    assert loss(means, labels, recipe).item() == pytest.approx(want, rel=1e-12)


def test_label_smoothing_is_torchs(steps):
    labels = torch.tensor([1, 0, 4])
    want = nn.CrossEntropyLoss(label_smoothing=0.2)(steps[-1], labels)
    got = loss(steps, labels, replace(RECIPE, loss="last", label_smoothing=0.2))
    assert torch.equal(got, want)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_single_steps_are_what_running_means_were_made_of(count):
    steps = torch.randn(count, N, K, dtype=torch.float64)
    torch.testing.assert_close(single_steps(running_means(steps)), steps)


def rates(per_epoch=3, **changes):
    recipe = replace(RECIPE, **changes)
    total = recipe.epochs * per_epoch
    return [learning_rate(recipe, step, per_epoch) for step in range(total)]


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


def a_layer():
    conv = nn.Conv2d(3, 4, 3, bias=False)
    return conv.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def one_step(layer, optimizer):
    torch.manual_seed(5)
    optimizer.zero_grad()
    layer(torch.randn(2, 3, 8, 8)).square().mean().backward()
    optimizer.step()


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_an_optimiser_goes_on_from_its_tensors(kind):
    recipe = replace(RECIPE, optimizer=kind)
    layer, twin = a_layer(), a_layer()
    optimizer = make_optimizer(recipe, layer)
    for _ in range(3):
        one_step(layer, optimizer)
    kept = {k: v.contiguous().clone() for k, v in optimizer_tensors(optimizer)}
    assert kept
    twin.load_state_dict(layer.state_dict())
    restored = make_optimizer(recipe, twin)
    restore_optimizer(restored, kept, Path("last.safetensors"))
    for _ in range(2):
        one_step(layer, optimizer)
        one_step(twin, restored)
    assert torch.equal(layer.weight, twin.weight)
    fresh = a_layer()
    fresh.load_state_dict(twin.state_dict())
    one_step(fresh, make_optimizer(recipe, fresh))
    one_step(twin, restored)
    assert not torch.equal(fresh.weight, twin.weight), "the state plays no part here"


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_the_recipe_sets_the_optimiser(kind):
    settings = {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.03}
    layer = a_layer()
    optimizer = make_optimizer(replace(RECIPE, optimizer=kind, **settings), layer)
    (group,) = optimizer.param_groups
    assert group["params"] == list(layer.parameters())
    assert type(optimizer) is {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[kind]
    expected = {k: v for k, v in settings.items() if k in group}
    assert {k: group[k] for k in expected} == expected
    assert "weight_decay" in expected
