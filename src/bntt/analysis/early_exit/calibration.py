"""The threshold that keeps a promise, chosen on images held out of training (M24)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from .rules import exit_steps, score

GRID = 200
"""Thresholds that are tried; laid down before any image is seen, as the proof demands."""


@dataclass(frozen=True)
class Operating:
    """What one threshold does to a set of images."""

    threshold: float
    mean_steps: float
    accuracy: float
    lost: int
    """Images whose early answer is wrong and whose full answer is right."""
    images: int

    def loss_bound(self, delta: float) -> float:
        """What the share that is lost stays below, with probability 1 - delta."""
        return binomial_bound(self.lost, self.images, delta)


def thresholds(rule: str, num_steps: int) -> list[float]:
    """What is tried, the surest first: at the first of them nobody leaves early.

    For shares they grow denser towards 1, where trained networks spend most of theirs.
    """
    if rule == "stable":
        return [float(count) for count in range(num_steps + 1, 0, -1)]
    score(rule)
    uncertain = torch.logspace(-8, 0, GRID, dtype=torch.float64)
    return [2.0, *(1 - uncertain).tolist()]


def operating_points(
    logits: Float[Tensor, "T N K"],
    labels: Int64[Tensor, " N"],
    rule: str,
    at: Sequence[float] | None = None,
    *,
    full: Float[Tensor, "N K"] | None = None,
) -> list[Operating]:
    """What every threshold would have done, from the answers after every time-step.

    Args:
        logits: Running means of the read-outs.
        labels: Classes.
        rule: A key of :data:`bntt.analysis.early_exit.rules.SCORES`.
        at: Thresholds; those of :func:`thresholds` if omitted.
        full: The answers that an early one may lose against, where they are not those
            after the last of these time-steps.

    Raises:
        ValueError: If there is no such rule, or no image.
    """
    _refuse_none(labels)
    right = logits.argmax(-1).cpu() == labels.cpu()
    sought = right[-1] if full is None else full.argmax(-1).cpu() == labels.cpu()
    scores = score(rule).of(logits).cpu()
    points = []
    for threshold in thresholds(rule, len(logits)) if at is None else at:
        steps = exit_steps(scores, threshold)
        points.append(_operating(threshold, steps, right, sought))
    return points


def points_by_steps(
    logits: Float[Tensor, "T N K"],
    labels: Int64[Tensor, " N"],
    kept: Sequence[tuple[float, int]],
) -> list[Operating]:
    """What stopping every image after the same number of time-steps would have done.

    Args:
        logits: Running means of the read-outs.
        labels: Classes.
        kept: Thresholds and the time-steps that each of them keeps, such as
            :func:`bntt.analysis.early_exit.gains.thresholds_of_gains` gives them.

    Raises:
        ValueError: If there is no image.
    """
    _refuse_none(labels)
    right = logits.argmax(-1).cpu() == labels.cpu()
    return [
        _operating(threshold, torch.full((len(labels),), steps), right, right[-1])
        for threshold, steps in kept
    ]


def _operating(
    threshold: float,
    steps: Int64[Tensor, " N"],
    right: Bool[Tensor, "T N"],
    sought: Bool[Tensor, " N"],
) -> Operating:
    early = right.gather(0, steps[None] - 1)[0]
    return Operating(
        threshold=threshold,
        mean_steps=steps.double().mean().item(),
        accuracy=early.double().mean().item(),
        lost=int((sought & ~early).sum()),
        images=len(steps),
    )


def _refuse_none(labels: Tensor) -> None:
    if len(labels) == 0:
        raise ValueError("There is no image to calibrate on.")


def promised(
    points: Sequence[Operating], max_loss: float, delta: float | None = None
) -> Operating:
    r"""The threshold with the fewest steps whose loss stays within a promise.

    With ``delta``, thresholds are tested from the surest on, and the first whose loss could
    still exceed the promise ends the search (fixed-sequence testing): whichever is then
    chosen, the loss on new images exceeds ``max_loss`` with probability at most ``delta``.
    The loss of accuracy is at most the share of images that are lost, of which the exact
    binomial upper bound is taken (Clopper & Pearson 1934). Without ``delta`` the loss that
    was counted on these images decides, which promises nothing.

    Args:
        points: As :func:`operating_points` gives them for the grid, the surest first.
        max_loss: Share of images, such as 0.002 for 0.2 points; in [0, 1).
        delta: Probability with which the promise may fail, in (0, 1); None for the plain
            estimate.

    Raises:
        ValueError: If a number is out of range, or so few images were held out that not
            even the surest threshold could be relied on.
    """
    if not 0 <= max_loss < 1:
        raise ValueError(f"`max_loss` must lie in [0, 1), got {max_loss}.")
    if delta is None:
        full = points[0].accuracy
        kept = [point for point in points if full - point.accuracy <= max_loss]
        return min(kept, key=lambda point: point.mean_steps)
    if not 0 < delta < 1:
        raise ValueError(f"`delta` must lie in (0, 1), got {delta}.")
    chosen = points[0]  # nobody leaves early, so nothing is lost, whatever the sample
    for point in points[1:]:
        if point.loss_bound(delta) > max_loss:
            break
        chosen = point
    if chosen is points[0]:
        raise ValueError(_no_promise(points, max_loss, delta))
    return chosen


def within_steps(points: Sequence[Operating], mean_steps: float) -> Operating:
    """The surest threshold that takes at most so many time-steps in the mean.

    Raises:
        ValueError: If no threshold does.
    """
    for point in points:
        if point.mean_steps <= mean_steps:
            return point
    least = min(point.mean_steps for point in points)
    raise ValueError(
        f"`mean_steps` must be at least {least:g} by this rule, got {mean_steps:g}."
    )


def binomial_bound(failures: int, trials: int, delta: float) -> float:
    r"""The largest failure rate that would give so few failures with probability ``delta``.

    .. math::
        \max \{ p : P[\mathrm{Bin}(n, p) \le k] \ge \delta \}

    Args:
        failures: ``k``, from 0.
        trials: ``n``, at least 1 and at least ``k``.
        delta: In (0, 1).
    """
    from scipy.stats import beta

    if failures >= trials:
        return 1.0
    return float(beta.ppf(1 - delta, failures + 1, trials - failures))


def _no_promise(points: Sequence[Operating], max_loss: float, delta: float) -> str:
    surest = points[1] if len(points) > 1 else points[0]
    bound = binomial_bound(0, surest.images, delta)
    if bound > max_loss:
        why = (
            f"even without one image lost of the {surest.images} held out, up to "
            f"{bound:.2%} might be. Hold out more images (--set validation=...)"
        )
    else:
        why = (
            f"of the {surest.images} images held out, {surest.lost} are lost by the surest "
            f"threshold already. Take another rule"
        )
    return (
        f"No early exit can be promised to lose at most {max_loss:.2%} of the images with "
        f"a probability of {1 - delta:.0%}: {why}, allow more loss, or ask for less "
        f"certainty."
    )
