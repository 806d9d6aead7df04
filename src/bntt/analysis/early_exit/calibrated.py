"""An exit that was asked for, with the numbers that decide it filled in."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from ...data.dataset import Images
from ...networks.network import Network
from .answers import BATCH, answers_until
from .calibration import (
    Operating,
    operating_points,
    points_by_steps,
    promised,
    thresholds,
    within_steps,
)
from .choice import ExitChoice
from .gains import THRESHOLD, GainExit, exit_by_gains, mean_gains, thresholds_of_gains
from .rules import SampleExit


@dataclass(frozen=True)
class Calibration:
    """How a threshold was chosen, and what it did to the images that it was chosen on."""

    images: int
    """Held out of training."""
    max_loss: float | None
    delta: float | None
    wanted_steps: float | None
    mean_steps: float
    accuracy: float
    full_accuracy: float
    lost: int
    """Images whose early answer is wrong and whose full answer is right."""
    loss_bound: float | None
    """The exact binomial upper bound of the share of lost images, at this threshold alone,
    which was tested against ``max_loss``; None if no delta was given."""


@dataclass(frozen=True)
class DecidedExit:
    """When a network stops: everybody after ``num_steps``, and who is sure before."""

    rule: str
    threshold: float
    """Of the samples' score where the rule has one, else of the gains."""
    num_steps: int
    """Time-steps that an image runs at most."""
    leave: SampleExit | None
    """When an image leaves before; None if none does."""
    gains: GainExit | None
    """What the gains say; None if the rule does not ask them."""
    calibration: Calibration | None
    """None if the threshold was given."""


def decide(
    net: Network,
    choice: ExitChoice,
    held_out: tuple[Images, Int64[Tensor, " N"]] | None = None,
    *,
    num_steps: int | None = None,
    **settings: Any,
) -> DecidedExit:
    """Find the exit that was asked for, on images held out if it must be calibrated.

    Args:
        net: A network.
        choice: What is wanted.
        held_out: Images that the network was not trained on, and their classes; needed
            where a threshold must be chosen.
        num_steps: What counts as all time-steps; all that were trained if omitted.
        settings: ``seed``, ``batch_size``, ``precision`` and ``advance`` of
            :func:`bntt.analysis.early_exit.answers.answers_until`.

    Raises:
        ValueError: If the network has no gains and they are asked; if a threshold must be
            chosen and there are no images for it; or if none saves a time-step and does
            what was asked.
    """
    net.check_steps(num_steps)
    most = num_steps or net.num_steps
    if choice.by_gains:
        exit_by_gains(net)  # a network without gains is refused before anything takes time
    if choice.calibrates:
        if held_out is None:
            raise ValueError(
                "A threshold is chosen on images held out of training, but none were "
                "given. Give them, or the threshold."
            )
        images, labels = held_out
        settings = {"batch_size": BATCH} | settings
        found = answers_until(net, images, None, num_steps=num_steps, **settings)
        return _calibrated(net, choice, found.over_time, labels, most)
    threshold = THRESHOLD if choice.threshold is None else choice.threshold
    if choice.sample_rule is None:
        return _by_gains(net, choice, threshold, most, None)
    return _by_sample(net, choice, threshold, most, None)


def _calibrated(
    net: Network, choice: ExitChoice, said: Tensor, labels: Tensor, most: int
) -> DecidedExit:
    points = _points(net, choice, said, labels, most)
    if len(points) == 1:
        raise ValueError(_gains_stay(net, most))
    if choice.max_loss is not None:
        point = promised(points, choice.max_loss, choice.delta)
    else:
        assert choice.mean_steps is not None
        point = within_steps(points, choice.mean_steps)
    if point is points[0]:
        raise ValueError(_nothing_saved(choice, points))
    about = Calibration(
        images=point.images,
        max_loss=choice.max_loss,
        delta=choice.delta,
        wanted_steps=choice.mean_steps,
        mean_steps=point.mean_steps,
        accuracy=point.accuracy,
        full_accuracy=points[0].accuracy,
        lost=point.lost,
        loss_bound=None if choice.delta is None else point.loss_bound(choice.delta),
    )
    made = _by_gains if choice.sample_rule is None else _by_sample
    return made(net, choice, point.threshold, most, about)


def _points(
    net: Network, choice: ExitChoice, said: Tensor, labels: Tensor, most: int
) -> list[Operating]:
    """What can be chosen from, the surest first, behind a run of all time-steps."""
    if choice.sample_rule is None:
        gains = torch.tensor(list(mean_gains(net).values()), dtype=torch.float64)
        kept = [(at, n) for at, n in thresholds_of_gains(gains) if n < most]
        return points_by_steps(said, labels, [(0.0, most), *kept])
    rule = choice.sample_rule
    everyone, *grid = thresholds(rule, most)
    whole = operating_points(said, labels, rule, [everyone])
    within = said[: _steps_by_gains(net, most)] if choice.by_gains else said
    return [*whole, *operating_points(within, labels, rule, grid, full=said[-1])]


def _by_gains(
    net: Network,
    choice: ExitChoice,
    threshold: float,
    most: int,
    calibration: Calibration | None,
) -> DecidedExit:
    gains = exit_by_gains(net, threshold)
    kept = min(most, gains.steps_kept)
    return DecidedExit(choice.rule, threshold, kept, None, gains, calibration)


def _by_sample(
    net: Network,
    choice: ExitChoice,
    threshold: float,
    most: int,
    calibration: Calibration | None,
) -> DecidedExit:
    assert choice.sample_rule is not None
    leave = SampleExit(choice.sample_rule, threshold)
    gains = exit_by_gains(net) if choice.by_gains else None
    kept = _steps_by_gains(net, most) if choice.by_gains else most
    return DecidedExit(choice.rule, threshold, kept, leave, gains, calibration)


def _steps_by_gains(net: Network, most: int) -> int:
    return min(most, exit_by_gains(net).steps_kept)


def _gains_stay(net: Network, most: int) -> str:
    """Why no threshold of gains saves a time-step."""
    last = max(row[most - 1] for row in mean_gains(net).values())
    return (
        f"No threshold of gains saves a time-step: no layer has a larger mean gain before "
        f"the last one than the {last:.3g} there. A gain that gets no gradient shrinks "
        f"only by weight decay, so train longer or with a larger `gain_decay`, or take an "
        f"exit by confidence, entropy, gap or stable answers."
    )


def _nothing_saved(choice: ExitChoice, points: Sequence[Operating]) -> str:
    """Why no threshold was chosen: what was asked lets nobody leave early."""
    images, steps = points[0].images, points[0].mean_steps
    if choice.mean_steps is not None:
        return (
            f"`mean_steps` must be less than the {steps:g} time-steps that an image takes "
            f"anyway, got {choice.mean_steps:g}."
        )
    assert choice.max_loss is not None
    return (
        f"By the rule {choice.rule!r} no time-step can be saved for at most "
        f"{100 * choice.max_loss:g} points on the {images} images held out. Allow more "
        f"loss, or take another rule."
    )
