"""Results as a person reads them."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .evaluate import Evaluation
from .predict import Prediction


def print_training(done: dict[str, Any], next_command: list[str]) -> None:
    """What :func:`bntt.train.train` returned, and the command that comes next."""
    if done["status"] == "finished":
        accuracy = done["validation_accuracy"]
        right = "" if accuracy is None else f", validation accuracy {accuracy:.2%}"
        epochs = f"{done['epochs']} epoch{'s' * (done['epochs'] != 1)}"
        print(f"Trained {epochs} in {done['seconds']:.0f} s{right}.")
        print(f"Next: {shlex.join(next_command)}")
    else:
        print(f"Interrupted. To go on: {shlex.join(next_command)}", file=sys.stderr)


def print_evaluation(result: Evaluation, checkpoint: Path) -> None:
    """Accuracy after every time-step."""
    several = len(result.seeds) > 1
    seeds = f", mean ± deviation over {len(result.seeds)} encoder seeds" if several else ""
    print(f"{checkpoint} on all {result.images} test images of {result.dataset}{seeds}")
    rows = []
    for t, (mean, spread) in enumerate(zip(result.mean, result.spread, strict=True), 1):
        share = f"{100 * mean:.2f} ± {100 * spread:.2f} %" if several else f"{mean:.2%}"
        right = f"{mean * result.images:.{int(several)}f} of {result.images}"
        rows.append((str(t), share, right))
    _print_table(("step", "accuracy", "correct"), rows)


def print_predictions(found: Iterable[Prediction]) -> None:
    """The class of every picture after every time-step."""
    for one in found:
        steps = len(one.classes)
        print(
            f"{one.file}: {one.classes[-1]} ({one.probabilities[-1]:.1%}), the same from "
            f"step {one.settled} of {steps} on"
        )
        if one.note:
            print(f"Note: {one.note}")
        pairs = zip(one.classes, one.probabilities, strict=True)
        rows = [(str(t), name, f"{share:.1%}") for t, (name, share) in enumerate(pairs, 1)]
        _print_table(("step", "class", "probability"), rows)


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(box=None)
    for name in head:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*map(Text, row))  # a class name may hold what is markup to rich
    Console().print(table)
