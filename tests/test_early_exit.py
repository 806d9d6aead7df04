"""When to stop: by the gains, and sample by sample."""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportIndexIssue=false

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import bntt
from bntt.analysis.early_exit import (
    answers_over_time,
    early_answers,
    exit_by_gains,
    mean_gains,
    operating_points,
    promised,
    within_steps,
)
from bntt.analysis.early_exit.calibration import binomial_bound, thresholds
from bntt.analysis.early_exit.gains import steps_kept
from bntt.analysis.early_exit.rules import SCORES, exit_steps

# mean gains of a published VGG9 on CIFAR-10: layers from the input on, time-steps 0 to 17
PUBLISHED = """
 .23 .22 .21 .20 .18 .16 .13 .10 .08 .06 .05 .03 .02 .01 .01 .00 .00 .00
 .16 .28 .26 .22 .17 .18 .15 .13 .09 .08 .06 .04 .03 .02 .01 .01 .00 .00
 .05 .23 .29 .22 .17 .18 .17 .14 .12 .10 .08 .06 .04 .02 .02 .01 .01 .00
 .04 .16 .41 .34 .22 .20 .19 .18 .17 .15 .12 .10 .07 .05 .03 .02 .01 .01
 .00 .05 .33 .40 .28 .18 .16 .17 .16 .14 .13 .11 .08 .06 .04 .03 .02 .01
-.0  -.0 .22 .56 .43 .24 .12 .11 .13 .14 .13 .12 .10 .08 .06 .04 .03 .02
-.0  .03 .10 .73 .73 .46 .22 .09 .01 -.03 -.03 -.0 .03 .04 .04 .03 .02 .01
 .01 .02 .04 .37 .40 .37 .34 .32 .28 .22 .15 .10 .05 .02 .00 -.01 -.01 -.01
"""
TABLE = torch.tensor(
    [[float(cell) for cell in row.split()] for row in PUBLISHED.strip().splitlines()],
    dtype=torch.float64,
)


@pytest.mark.parametrize(
    ("threshold", "steps"), [(0.1, 13), (0.105, 12), (0.8, 1), (0.0001, 18), (0.73, 5)]
)
def test_the_published_gains_say_when_to_stop(threshold, steps):
    assert TABLE.shape == (8, 18)
    assert steps_kept(TABLE, threshold) == steps


def network(T=5, norm="bntt", **config):
    torch.manual_seed(1)
    return bntt.vgg5(
        num_classes=4,
        num_steps=T,
        leak=0.9,
        in_channels=1,
        image_size=8,
        norm=norm,
        **config,
    ).eval()


def test_gains_are_read_off_every_layer_and_step():
    net = network()
    for k, layer in enumerate(net.layers):
        layer.norm.weight.data.fill_(0.01)
        layer.norm.weight.data[: k + 1] = -0.5
    assert exit_by_gains(net).steps_kept == 1  # no mean is as large as the threshold
    found = exit_by_gains(net, magnitude=True)
    assert found.steps_kept == len(net.layers) == 4
    assert found.layers == tuple(f"layers.{k}.norm" for k in range(4))
    assert found.gains[1] == pytest.approx((0.5, 0.5, 0.01, 0.01, 0.01))


def test_steps_of_one_window_have_one_gain():
    layer = nn.Sequential(bntt.BNTT(3, 6, window=2))
    layer[0].weight.data = torch.tensor([[1.0] * 3, [0.5] * 3, [0.05] * 3])
    assert mean_gains(layer) == {"0": pytest.approx([1, 1, 0.5, 0.5, 0.05, 0.05])}
    assert exit_by_gains(layer).steps_kept == 4


@pytest.mark.parametrize("norm", ["shared", "none"])
def test_networks_without_gains_in_time_are_told_so(norm):
    with pytest.raises(ValueError, match="needs a network with BNTT layers"):
        exit_by_gains(network(norm=norm))


@pytest.mark.parametrize("threshold", [0, -1, math.inf, math.nan])
def test_a_threshold_of_gains_must_be_positive(threshold):
    with pytest.raises(ValueError, match="must be positive and finite"):
        exit_by_gains(network(), threshold)


LOGITS = torch.tensor([
    [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    [[2.0, 2.0, 0.0], [0.0, 9.0, 0.0]],
    [[0.0, 3.0, 0.0], [0.0, 9.0, 0.0]],
])  # fmt: skip


def test_scores_by_hand():
    e2, e3, e9 = math.exp(2), math.exp(3), math.exp(9)
    assert SCORES["confidence"].of(LOGITS)[:, 0].tolist() == pytest.approx(
        [e2 / (e2 + 2), e2 / (2 * e2 + 1), e3 / (e3 + 2)]
    )
    assert SCORES["gap"].of(LOGITS)[:, 1].tolist() == pytest.approx(
        [0, (e9 - 1) / (e9 + 2), (e9 - 1) / (e9 + 2)]
    )
    assert SCORES["entropy"].of(LOGITS)[0, 1].item() == pytest.approx(0)
    p = torch.tensor([e2, 1, 1], dtype=torch.float64) / (e2 + 2)
    by_hand = 1 + (p * p.log()).sum() / math.log(3)
    assert SCORES["entropy"].of(LOGITS)[0, 0].item() == pytest.approx(by_hand.item())
    assert SCORES["stable"].of(LOGITS).T.tolist() == [[1, 2, 1], [1, 1, 2]]


def test_the_unsure_run_to_the_end():
    scores = torch.tensor([[0.1, 0.9, 0.2], [0.2, 0.1, 0.9], [0.3, 0.1, 0.1]])
    assert exit_steps(scores, 0.9).tolist() == [3, 1, 2]
    assert exit_steps(scores, 5).tolist() == [3, 3, 3]


RULES = ("confidence", "entropy", "gap", "stable")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("encoder", ["poisson", "direct"])
def test_who_leaves_answers_as_if_all_had_stayed(rule, encoder):
    net = network(encoder=encoder, mean=(0.5,), std=(0.1,))
    for layer in net.layers:  # statistics that let it fire, and change its mind
        layer.norm.running_mean.normal_(0, 0.1)
        layer.norm.running_var.uniform_(0.02, 0.3)
    net.output.weight.data.sub_(net.output.weight.data.mean(0))
    images = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8)
    whole = answers_over_time(net, images, batch_size=16)
    after_two = SCORES[rule].of(whole)[1].sort().values
    # between two images, where no rounding decides who leaves
    threshold = 2 if rule == "stable" else after_two[24:26].mean().item()
    found = early_answers(net, images, rule, threshold, batch_size=16)
    steps = exit_steps(SCORES[rule].of(whole), threshold)
    assert len(steps.unique()) > 1, "a test in which all leave together shows nothing"
    assert torch.equal(found.steps, steps)
    expected = whole.gather(0, (steps - 1)[None, :, None].expand(1, -1, 4))[0]
    torch.testing.assert_close(found.logits, expected, rtol=1e-4, atol=1e-4)
    assert found.seconds > 0


@pytest.mark.parametrize(
    ("rule", "threshold", "message"),
    [
        ("confidence", 1.5, r"at least 0 and at most 1, got 1\.5"),
        ("entropy", -0.1, "at least 0 and at most 1"),
        ("stable", 0, "at least 1, got 0"),
        ("gap", math.nan, "at least 0"),
        ("margin", 0.5, "Unknown exit rule 'margin'. Known: confidence, entropy, gap, st"),
    ],
)
def test_impossible_thresholds_are_refused(rule, threshold, message):
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match=message):
        early_answers(network(), images, rule, threshold)


@given(st.integers(1, 60), st.data(), st.floats(0.01, 0.5))
@settings(deadline=None)
def test_the_bound_is_where_so_few_failures_become_unlikely(n, data, delta):
    k = data.draw(st.integers(0, n - 1))
    p = binomial_bound(k, n, delta)
    so_few = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))
    assert so_few == pytest.approx(delta, rel=1e-6)
    assert binomial_bound(n, n, delta) == 1


def sample(count, seed):
    """Made-up answers that become better with time: their truth is known exactly."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 5, (count,), generator=random)
    logits = torch.randn(6, count, 5, generator=random)
    logits = logits.cumsum(0) / torch.arange(1, 7)[:, None, None]
    logits[:, torch.arange(count), labels] += torch.rand(count, generator=random) * 3
    return logits * 3, labels


@pytest.mark.parametrize("rule", RULES)
def test_points_by_brute_force(rule):
    logits, labels = sample(80, 0)
    at = [0.3, 0.6, 0.95] if rule != "stable" else [1, 2, 4]
    for point in operating_points(logits, labels, rule, at):
        scores = SCORES[rule].of(logits)
        steps, right, lost = 0, 0, 0
        for n in range(80):
            t = next((t for t in range(6) if scores[t, n] >= point.threshold), 5)
            early = logits[t, n].argmax() == labels[n]
            steps, right = steps + t + 1, right + int(early)
            lost += int(logits[5, n].argmax() == labels[n] and not early)
        assert point.mean_steps == pytest.approx(steps / 80)
        assert point.accuracy == pytest.approx(right / 80)
        assert point.lost == lost


@pytest.mark.parametrize("rule", RULES)
def test_the_grid_begins_with_nobody_and_ends_with_everybody(rule):
    logits, labels = sample(200, 1)
    points = operating_points(logits, labels, rule)
    assert points[0].mean_steps == 6
    assert points[0].lost == 0
    assert points[-1].mean_steps == 1
    assert [p.threshold for p in points] == thresholds(rule, 6)


def test_a_promise_is_broken_as_seldom_as_it_says():
    """300 calibrations on new samples, against the loss on very many."""
    unseen = sample(20_000, 99)
    truth = operating_points(*unseen, "confidence")
    full = truth[0].accuracy
    loss = {point.threshold: full - point.accuracy for point in truth}
    max_loss, delta = 0.03, 0.1
    broken = {"plain": 0, "promised": 0}
    saved = 0.0
    for seed in range(300):
        points = operating_points(*sample(300, seed), "confidence")
        sure = promised(points, max_loss, delta)
        saved += 6 - sure.mean_steps
        broken["promised"] += loss[sure.threshold] > max_loss
        broken["plain"] += loss[promised(points, max_loss).threshold] > max_loss
    assert broken["promised"] <= 0.1 * 300, broken
    assert broken["plain"] > broken["promised"], broken
    assert saved / 300 > 0.5, "a promise that never lets anybody leave is easily kept"


def test_steps_can_be_asked_for_instead():
    points = operating_points(*sample(300, 3), "gap")
    found = within_steps(points, 3.5)
    surer = [p for p in points if p.threshold > found.threshold]
    assert found.mean_steps <= 3.5 < min(p.mean_steps for p in surer)
    with pytest.raises(ValueError, match="must be at least 1 by this rule, got 0.5"):
        within_steps(points, 0.5)


@pytest.mark.parametrize(
    ("max_loss", "delta", "message"),
    [
        (1.0, None, r"`max_loss` must lie in \[0, 1\)"),
        (-0.1, None, "`max_loss`"),
        (0.1, 0.0, r"`delta` must lie in \(0, 1\)"),
        (
            0.001,
            0.05,
            r"one image lost of the 300 held out, up to 0\.99% might",
        ),
    ],
)
def test_promises_that_cannot_be_made_are_refused(max_loss, delta, message):
    points = operating_points(*sample(300, 3), "confidence")
    with pytest.raises(ValueError, match=message):
        promised(points, max_loss, delta)


def test_no_image_is_no_calibration():
    with pytest.raises(ValueError, match="no image to calibrate on"):
        operating_points(torch.zeros(3, 0, 2), torch.zeros(0, dtype=torch.long), "gap")
