"""The options by which an early exit is asked for, and how its answer is printed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..machine.terminal import out
from .tables import print_table

if TYPE_CHECKING:
    from ..analysis.early_exit.choice import ExitChoice
    from ..analysis.early_exit.measured import MeasuredExit
else:
    ExitChoice = MeasuredExit = Any  # importing them brings torch

Exit = Annotated[
    str | None,
    typer.Option(
        "--exit",
        metavar="RULE",
        help="Stop early: gamma, confidence, entropy, gap, stable; gamma+RULE for both.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(metavar="X", help="With --exit: what its score must reach; gamma: 0.1."),
]
MaxLoss = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        help="With --exit: choose the threshold on images held out, to lose no more.",
    ),
]
MeanSteps = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="With --exit: choose it there for so many time-steps in the mean."
    ),
]
Delta = Annotated[
    float | None,
    typer.Option(
        metavar="P",
        help="With --max-loss: the loss on new images exceeds it with this probability "
        "at most, such as 0.05.",
    ),
]


def choice_of(
    rule: str | None,
    threshold: float | None,
    max_loss: float | None,
    mean_steps: float | None,
    delta: float | None,
) -> ExitChoice | None:
    """The exit that the options ask for, or None if they ask for none.

    Raises:
        ValueError: If they do not go together, or a number is out of range.
    """
    given = {
        "--threshold": threshold,
        "--max-loss": max_loss,
        "--mean-steps": mean_steps,
        "--delta": delta,
    }
    if rule is None:
        without = [option for option, value in given.items() if value is not None]
        if without:
            raise ValueError(
                f"{' and '.join(without)} is about an early exit, and no rule of one was "
                f"given. Add --exit confidence, or another rule."
            )
        return None
    from ..analysis.early_exit.choice import ExitChoice

    return ExitChoice(
        rule=rule,
        threshold=threshold,
        max_loss=None if max_loss is None else max_loss / 100,
        mean_steps=mean_steps,
        delta=delta,
    )


def print_exit(found: MeasuredExit, checkpoint: Path) -> None:
    """Print what an exit saves and what it costs, and how its threshold was found."""
    decided = found.decided
    out(f"{checkpoint} on all {found.images} test images of {found.dataset}")
    out(f"{_rule(found)}.")
    if decided.calibration is not None:
        out(_calibration(found))
    print_table(("", "early exit", "to the end", "saved"), _rows(found), left=1)
    if decided.leave is not None:
        share = [
            (str(t), str(count), f"{count / found.images:.1%}")
            for t, count in enumerate(found.exit_steps, 1)
        ]
        print_table(("step", "images that stop", "share"), share)
    out(
        f"{found.lost} of {found.images} images are wrong early and right at the end. "
        f"Encoder seed {found.seed}, batches of {found.batch_size}, in {found.precision} "
        f"on {found.device}; seconds are of runs step by step, {_rounds(found)}."
    )
    if found.cost is not None:
        out(
            f"Operations and energy ({found.cost.full.constants.name}) are of an image, in "
            f"the mean over {found.cost.images} of them."
        )
    if found.note:
        out(f"Note: {found.note}")


def _rounds(found: MeasuredExit) -> str:
    count = found.rounds
    return "timed once" if count == 1 else f"the median of {count} rounds in turn"


def _rule(found: MeasuredExit) -> str:
    decided = found.decided
    gains = f"the gains keep {decided.num_steps} of {found.full_steps} time-steps"
    if decided.leave is None:
        return f"Exit by gains at {decided.threshold:.6g}: {gains}"
    both = f"; {gains}" if decided.gains is not None else ""
    return f"Exit by {decided.leave.rule} at {decided.threshold:.10g}{both}"


def _calibration(found: MeasuredExit) -> str:
    made = found.decided.calibration
    assert made is not None
    loss = 100 * (made.full_accuracy - made.accuracy)
    chosen = (
        f"Chosen on {found.held_out}: {made.mean_steps:.2f} steps there, {loss:.2f} points "
        f"lost"
    )
    if made.delta is None:
        return f"{chosen}. An estimate: it promises nothing for other images."
    return (
        f"{chosen}. On new images more than {100 * (made.max_loss or 0.0):g} points are "
        f"lost with a probability of {made.delta:g} at most."
    )


def _rows(found: MeasuredExit) -> list[tuple[str, str, str, str]]:
    early, full = found.accuracy, found.full_accuracy
    rows = [
        ("accuracy", f"{early:.2%}", f"{full:.2%}", f"{100 * (early - full):+.2f} points"),
        _row("time-steps", found.mean_steps, found.full_steps, "{:.2f}"),
        _row("seconds", found.seconds, found.full_seconds, "{:.2f}"),
    ]
    if found.cost is not None:
        early, full = found.cost.early, found.cost.full
        rows += [
            _row("spikes", early.spikes, full.spikes, "{:,.0f}"),
            _row("synaptic operations", early.synops, full.synops, "{:,.0f}"),
            _row("microjoules", 1e6 * early.joules, 1e6 * full.joules, "{:.3f}"),
        ]
    return rows


def _row(name: str, early: float, full: float, form: str) -> tuple[str, str, str, str]:
    saved = f"{1 - early / full:.1%}" if full else "-"
    return name, form.format(early), form.format(full), saved
