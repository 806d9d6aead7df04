"""The curves of a training run, from its log."""

from collections.abc import Mapping, Sequence
from typing import Any

from .drawing import COLOURS, Drawing, column

POINTS = 200
"""Of the loss: a longer log is averaged over as many stretches."""


def training_curves(entries: Sequence[Mapping[str, Any]]) -> Drawing:
    """Draw the loss of every step, and the accuracy of every epoch.

    Args:
        entries: The lines of ``log.jsonl``, in order. Those that say neither a loss nor an
            accuracy are passed over.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If no entry has a loss.
    """
    losses = [(e["step"], e["loss"]) for e in entries if _is_number(e.get("loss"))]
    if not losses:
        raise ValueError("Curves of training need a log with losses, got none.")
    training, validation = _accuracies(entries)
    known = {"training": training, "validation, last step": validation}
    known = {name: curve for name, curve in known.items() if curve}
    with column(3.4 if known else 2.0) as figure:
        panels = figure.subplots(1 + bool(known), 1, sharex=True, squeeze=False)[:, 0]
        steps, values = zip(*_averaged(losses), strict=True)
        panels[0].plot(steps, values, color=COLOURS[0])
        panels[0].set_ylabel("training loss")
        for number, (name, curve) in enumerate(known.items()):
            at, shares = zip(*curve, strict=True)
            percent = [100 * share for share in shares]
            colour, marker = COLOURS[number], "os"[number]
            panels[-1].plot(at, percent, color=colour, marker=marker, label=name)
            panels[-1].set_ylabel("accuracy (%)")
            panels[-1].legend(loc="lower right")
        panels[-1].set_xlabel("training step")
    said = [f"{name} accuracy ends at {curve[-1][1]:.1%}." for name, curve in known.items()]
    return Drawing(
        figure=figure,
        title="Training",
        alt=f"Curves over {losses[-1][0]} training steps. The loss falls from "
        f"{values[0]:.3g} to {values[-1]:.3g}. {' '.join(said)}".strip(),
        columns=("quantity", "training step", "value"),
        rows=(
            *(("loss", step, value) for step, value in _averaged(losses)),
            *(
                (f"{name} accuracy (%)", step, 100 * share)
                for name, curve in known.items()
                for step, share in curve
            ),
        ),
    )


Points = list[tuple[int, float]]


def _accuracies(entries: Sequence[Mapping[str, Any]]) -> tuple[Points, Points]:
    training, validation = [], []
    for entry in entries:
        if _is_number(entry.get("train_accuracy")):
            training.append((entry["step"], entry["train_accuracy"]))
        per_step = entry.get("validation_accuracy")
        if isinstance(per_step, list) and per_step and _is_number(per_step[-1]):
            validation.append((entry["step"], per_step[-1]))
    return training, validation


def _averaged(points: Points) -> Points:
    """At most :data:`POINTS` means of neighbours, each at the last of their steps."""
    size = -(-len(points) // POINTS)
    parts = [points[first : first + size] for first in range(0, len(points), size)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
