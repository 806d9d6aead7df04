"""Losses against sums written out."""

import math
from dataclasses import replace

import pytest
import torch
from small_runs import RECIPE
from torch import nn

from bntt.layers.neuron import single_steps
from bntt.training.by_recipe import recipe_loss
from bntt.training.losses import loss

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
    got = loss(means, labels, kind=kind, label_smoothing=smoothing)
    assert got.item() == pytest.approx(want, rel=1e-12)
    recipe = replace(RECIPE, loss=kind, label_smoothing=smoothing)
    assert torch.equal(recipe_loss(recipe, means, labels), got)


@pytest.mark.parametrize("growth", [0.5, 1.5])
@pytest.mark.parametrize("kind", ["every_mean", "every_step"])
def test_steps_count_as_much_as_their_growth_says(steps, kind, growth):
    means, labels = running_means(steps), torch.tensor([1, 0, 4])
    named = means if kind == "every_mean" else steps
    weights = [growth**t for t in range(T)]
    losses = [cross_entropy(logits, labels, 0.1) for logits in named]
    want = sum(w * one for w, one in zip(weights, losses, strict=True)) / sum(weights)
    settings = {"label_smoothing": 0.1, "step_growth": growth}
    got = loss(means, labels, kind=kind, **settings)
    assert got.item() == pytest.approx(want, rel=1e-12)
    recipe = replace(RECIPE, loss=kind, **settings)
    assert torch.equal(recipe_loss(recipe, means, labels), got)
    one_hot = nn.functional.one_hot(labels, K).double()
    assert loss(means, one_hot, kind=kind, **settings).item() == pytest.approx(want)


def test_a_growth_of_one_is_the_mean_however_it_is_reached(steps):
    means, labels = running_means(steps), torch.tensor([1, 0, 4])
    plain = loss(means, labels, kind="every_step").item()
    near = loss(means, labels, kind="every_step", step_growth=1 + 1e-12).item()
    assert near == pytest.approx(plain, rel=1e-9)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "every_step", "step_growth": 0.0}, "positive and finite.* got 0.0"),
        ({"kind": "every_step", "step_growth": math.inf}, "positive and finite"),
        ({"kind": "last", "step_growth": 2.0}, "kind='last' has one, got 2.0"),
    ],
)
def test_a_growth_that_cannot_be_is_refused(steps, settings, said):
    with pytest.raises(ValueError, match=said):
        loss(steps, torch.tensor([1, 0, 4]), **settings)


def test_label_smoothing_is_torchs(steps):
    labels = torch.tensor([1, 0, 4])
    want = nn.CrossEntropyLoss(label_smoothing=0.2)(steps[-1], labels)
    assert torch.equal(loss(steps, labels, label_smoothing=0.2), want)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["last", "every_mean", "every_step"])
def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses(steps, kind, smoothing):
    own, other = torch.tensor([1, 0, 4]), torch.tensor([2, 0, 3])
    share = torch.tensor([0.25, 0.5, 1.0], dtype=torch.float64)
    mixed = share[:, None] * nn.functional.one_hot(own, K)
    mixed += (1 - share[:, None]) * nn.functional.one_hot(other, K)
    settings = {"kind": kind, "label_smoothing": smoothing}
    means = running_means(steps)
    want = 0.0
    for k in range(N):  # one sample at a time, since each has a share of its own
        one = means[:, k : k + 1]
        first, second = (loss(one, y[k : k + 1], **settings) for y in (own, other))
        want += (share[k] * first + (1 - share[k]) * second).item() / N
    assert loss(means, mixed, **settings).item() == pytest.approx(want, rel=1e-6)


def test_an_unknown_loss_is_refused(steps):
    with pytest.raises(ValueError, match="Unknown loss 'lsat'. Did you mean 'last'"):
        loss(steps, torch.tensor([1, 0, 4]), kind="lsat")


@pytest.mark.parametrize("count", [1, 2, 7])
def test_single_steps_are_what_running_means_were_made_of(count):
    steps = torch.randn(count, N, K, dtype=torch.float64)
    torch.testing.assert_close(single_steps(running_means(steps)), steps)
