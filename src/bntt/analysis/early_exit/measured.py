"""What an exit saves: steps, seconds and operations, and what it costs in accuracy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from ...data.dataset import Images
from ...machine.terminal import one_line
from ...networks.network import Network
from ..energy import Energy, energy
from ..energy.operations import counting
from .answers import BATCH, Answers, answers_until, precise
from .calibrated import DecidedExit
from .calibration import Operating, operating_points

COUNTED = 500
"""Images, evenly spread over those given, whose operations are counted."""
ROUNDS, PATIENCE = 3, 5.0
"""Both runs are timed at most so often, and not again after so many seconds in all."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Operations with and without the exit, on the same images."""

    images: int
    early: Energy
    full: Energy


@dataclass(frozen=True, kw_only=True)
class MeasuredExit:
    """What an exit did to images, beside a run of all their time-steps."""

    decided: DecidedExit
    images: int
    full_steps: int
    """All time-steps: those of the run that the exit is compared with."""
    exit_steps: tuple[int, ...]
    """How many images ran 1, 2, ... time-steps."""
    accuracy: float
    full_accuracy: float
    lost: int
    """Images whose early answer is wrong and whose full answer is right."""
    seconds: float
    """Of the network on all images, step by step, encoder included; the median of the
    rounds."""
    full_seconds: float
    """The same when nobody leaves before the last time-step."""
    rounds: int
    """How often both were timed, in turn."""
    accuracy_over_time: tuple[float, ...]
    """After every time-step, when nobody leaves."""
    curve: tuple[Operating, ...]
    """What other thresholds of the same rule would have done, the surest first; empty if
    the gains alone decide."""
    cost: Cost | None
    """None if the network has layers whose operations are not known."""
    seed: int
    batch_size: int
    precision: str
    device: str
    dataset: str = ""
    held_out: str = ""
    """Which images a threshold was chosen on, in words; empty if it was given."""
    trained_steps: int | None = None
    note: str = ""
    source: Mapping[str, str] = field(default_factory=dict)
    split_sha256: str = ""
    commit: str = ""
    warnings: tuple[str, ...] = ()
    file: str = ""

    @property
    def mean_steps(self) -> float:
        """Time-steps that an image ran, in the mean."""
        run = sum(steps * count for steps, count in enumerate(self.exit_steps, 1))
        return run / self.images

    @property
    def exit(self) -> dict[str, Any]:
        """The answer in short; operations are of an image in the mean."""
        by_sample = self.decided.leave is not None
        steps = {"mean_steps": self.mean_steps}
        kept = {"steps_kept": self.decided.num_steps}
        return {
            "rule": self.decided.rule,
            "threshold": self.decided.threshold,
            **(steps if by_sample else kept),
            "accuracy": self.accuracy,
            "full_accuracy": self.full_accuracy,
            "seconds": self.seconds,
            "full_seconds": self.full_seconds,
            "synops": self.cost and self.cost.early.synops,
            "full_synops": self.cost and self.cost.full.synops,
        }

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values."""
        counted = None
        if self.cost is not None:
            sides = {"early": self.cost.early, "full": self.cost.full}
            counted = {"images": self.cost.images} | {
                name: {
                    "joules": side.joules,
                    "spikes": side.spikes,
                    "synops": side.synops,
                    "constants": side.constants.name,
                }
                for name, side in sides.items()
            }
        plain = (
            *("dataset", "images", "held_out", "full_steps", "lost", "seed", "batch_size"),
            *("precision", "device", "trained_steps", "note", "split_sha256", "commit"),
            *("file", "rounds"),
        )
        calibration, gains = self.decided.calibration, self.decided.gains
        return {
            "exit": self.exit,
            **{name: getattr(self, name) for name in plain},
            "num_steps": self.decided.num_steps,
            "mean_steps": self.mean_steps,
            "exit_steps": list(self.exit_steps),
            "accuracy_over_time": list(self.accuracy_over_time),
            "curve": [asdict(point) for point in self.curve],
            "calibration": calibration and asdict(calibration),
            "gains": gains and asdict(gains),
            "cost": counted,
            "source": dict(self.source),
            "warnings": list(self.warnings),
        }

    def question(self) -> dict[str, Any]:
        """Those of the plain values that say what was asked, and on which data."""
        kept = self.to_dict()
        names = (
            *("dataset", "images", "source", "split_sha256", "full_steps", "num_steps"),
            *("seed", "batch_size", "precision"),
        )
        return {name: kept[name] for name in names}


def measure_exit(
    net: Network,
    images: Images,
    labels: Int64[Tensor, " N"],
    decided: DecidedExit,
    *,
    num_steps: int | None = None,
    seed: int = 0,
    batch_size: int = BATCH,
    precision: str = "float32",
    counted: int = COUNTED,
    advance: Callable[[int], None] = lambda images: None,
) -> MeasuredExit:
    """Run images with an exit and without, and compare.

    Both run step by step, batch by batch, on the same random numbers, after a short run
    that is not timed; what takes seconds only is timed again, in turn. Operations are
    counted apart, because counting takes time.

    Args:
        net: Put into evaluation mode here, and back.
        images: Not those that a threshold was chosen on.
        labels: Their classes.
        decided: The exit.
        num_steps: What counts as all time-steps; all that were trained if omitted.
        seed: Of the encoder's random numbers.
        batch_size: Images at a time.
        precision: ``"float32"`` or ``"bfloat16"``.
        counted: Images whose operations are counted, at most.
        advance: Called with the number of images just done, of each of the four runs.

    Raises:
        ValueError: As :func:`bntt.analysis.early_exit.answers.answers_until`.
        FloatingPointError: As there.
    """
    settings = {"seed": seed, "batch_size": batch_size, "precision": precision}
    most = num_steps or net.num_steps
    _ = answers_until(net, images[:batch_size], None, num_steps=1, **settings)
    exits = (None, most), (decided.leave, decided.num_steps)
    full, early = (
        answers_until(net, images, leave, num_steps=n, advance=advance, **settings)
        for leave, n in exits
    )
    times = [(full.seconds, early.seconds)]
    while len(times) < ROUNDS and sum(map(sum, times)) < PATIENCE:
        again = [
            answers_until(net, images, leave, num_steps=n, **settings).seconds
            for leave, n in exits
        ]
        times.append((again[0], again[1]))
    full_seconds, seconds = map(median, zip(*times, strict=True))
    right, sought = (one.logits.argmax(-1) == labels.cpu() for one in (early, full))
    spread = torch.linspace(0, len(images) - 1, min(counted, len(images))).round().long()
    cost, unknown = _cost(net, images[spread], decided, most, seed, precision, advance)
    return MeasuredExit(
        decided=decided,
        images=len(images),
        full_steps=most,
        exit_steps=tuple(torch.bincount(early.steps, minlength=most + 1)[1:].tolist()),
        accuracy=right.double().mean().item(),
        full_accuracy=sought.double().mean().item(),
        lost=int((sought & ~right).sum()),
        seconds=seconds,
        full_seconds=full_seconds,
        rounds=len(times),
        accuracy_over_time=tuple(
            (full.over_time.argmax(-1) == labels.cpu()).double().mean(1).tolist()
        ),
        curve=_curve(full, labels, decided),
        cost=cost,
        warnings=tuple(unknown),
        device=str(net.mean.device),
        **settings,
    )


def _curve(
    full: Answers, labels: Int64[Tensor, " N"], decided: DecidedExit
) -> tuple[Operating, ...]:
    """What each threshold would have done, once for every mean number of time-steps."""
    if decided.leave is None:
        return ()
    within = full.over_time[: decided.num_steps]
    points = operating_points(within, labels, decided.leave.rule, full=full.logits)
    return tuple({point.mean_steps: point for point in points}.values())


def _cost(
    net: Network,
    images: Images,
    decided: DecidedExit,
    most: int,
    seed: int,
    precision: str,
    advance: Callable[[int], None],
) -> tuple[Cost | None, Sequence[str]]:
    """Operations with and without the exit; or why they cannot be counted."""
    try:
        with counting(net):
            pass
    except ValueError as error:
        return None, [f"Operations were not counted: {one_line(error)}"]
    with precise(net, precision):
        sides = [
            energy(net, images, num_steps=steps, seed=seed, leave=leave, advance=advance)
            for steps, leave in ((decided.num_steps, decided.leave), (most, None))
        ]
    return Cost(images=len(images), early=sides[0], full=sides[1]), []
