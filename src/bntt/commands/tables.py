"""Results as a person reads them."""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table
from rich.text import Text

from ..analysis.accuracy import Evaluation
from ..analysis.dataset_summary import Overview
from ..analysis.predict import Prediction
from ..machine.terminal import note, one_line, out, shown, table

FEW = 20
"""Classes, or digests, that are all printed."""

DIGEST = 12
"""Characters of a SHA-256 that are printed."""


def print_training(done: dict[str, Any], next_command: list[str]) -> None:
    """What :func:`bntt.training.train.train` returned, and the command that comes next."""
    if done["status"] == "finished":
        accuracy = done["validation_accuracy"]
        right = "" if accuracy is None else f", validation accuracy {accuracy:.2%}"
        epochs = f"{done['epochs']} epoch{'s' * (done['epochs'] != 1)}"
        out(f"Trained {epochs} in {done['seconds']:.0f} s{right}.")
        out(f"Next: {shlex.join(next_command)}")
    else:
        note(f"Interrupted. To go on: {shlex.join(next_command)}")


def print_evaluation(result: Evaluation, checkpoint: Path) -> None:
    """Accuracy after every time-step, and of what it is true."""
    several = result.spread is not None
    seeds = f", mean ± deviation over {len(result.seeds)} encoder seeds" if several else ""
    out(f"{checkpoint} on {result.whole}{seeds}")
    rows = []
    spreads = result.spread or [0.0] * len(result.mean)
    found = zip(result.mean, spreads, result.interval, strict=True)
    for t, (mean, spread, (low, high)) in enumerate(found, 1):
        share = f"{100 * mean:.2f} ± {100 * spread:.2f} %" if several else f"{mean:.2%}"
        right = f"{mean * result.images:.{int(several)}f} of {result.images}"
        rows.append((str(t), share, f"{100 * low:.2f} to {100 * high:.2f}", right))
    _print_table(("step", "accuracy", "interval", "correct"), rows)
    out(
        f"Interval: Wilson's, 95 %, for {result.images} images. In {result.precision} on "
        f"{result.device}, {_sources(result.commit)}."
    )
    digests = dict(result.source)
    if result.split_sha256:
        digests["which samples test"] = result.split_sha256
    for name, sha256 in list(digests.items())[:FEW]:
        out(f"{'SHA-256':10} {sha256[:DIGEST]}… {name}")
    if result.note:
        out(f"Note: {result.note}")


def _sources(commit: str) -> str:
    """The commit in short, or what stands in its place (`bntt.runs.provenance.commit`)."""
    if " " in commit:
        return f"bntt {commit}"
    changed = ", changed since" if commit.endswith("+") else ""
    return f"commit {commit[:DIGEST]}{changed}"


def print_predictions(found: Iterable[Prediction]) -> None:
    """The class of every picture or recording after every step; of windows the last."""
    for one in found:
        steps = len(one.classes)
        part = "" if one.span_ms is None else ", {} to {} ms".format(*one.span_ms)
        out(
            f"{one.file}{part}: {one.classes[-1]} ({one.probabilities[-1]:.1%}), the same "
            f"from step {one.settled} of {steps} on"
        )
        if one.note:
            out(f"Note: {one.note}")
        if one.span_ms is not None:  # a recording may have hundreds of windows
            continue
        pairs = zip(one.classes, one.probabilities, strict=True)
        rows = [(str(t), name, f"{share:.1%}") for t, (name, share) in enumerate(pairs, 1)]
        _print_table(("step", "class", "probability"), rows)


def print_catalogue(sets: Mapping[str, Mapping[str, Any]]) -> None:
    """What :func:`bntt.analysis.dataset_summary.catalogue` returned."""
    head = ("name", "kind", "channels x pixels", "classes", "train", "test", "in cache")
    rows = [
        (
            name,
            one["kind"],
            one["shape"] or "yours",
            *(str(one[key] or "-") for key in ("classes", "train", "test")),
            {True: "yes", False: "no", None: "-"}[one["cached"]],
        )
        for name, one in sets.items()
    ]
    _print_table(head, rows, left=3)
    out("")
    out("Terms and origin (what the place itself says decides):")
    for name, one in sets.items():
        if one["place"]:
            how = " (downloaded when asked for)" if one["downloads"] else ""
            out(f"{name:14} {one['terms']}; {one['place']}{how}")
        else:
            out(f"{name:14} your own: {one['layout']}")


def print_overview(found: Overview, sheet: str | None) -> None:
    """What is in a set, and where its contact sheet went."""
    what = (
        "frames of events, steps x (OFF, ON) x rows x columns" if found.events else "images"
    )
    lines = {
        "set": f"{found.title} ({found.name})",
        "train": f"{sum(found.train)} samples",
        "test": f"{sum(found.test)} samples",
        "shape": f"{' x '.join(map(str, found.shape))}, {what}",
        "mean": " ".join(f"{value:g}" for value in found.mean),
        "std": " ".join(f"{value:g}" for value in found.std),
        "classes": str(len(found.class_names)),
        "per class": f"train {_spread(found.train)}; test {_spread(found.test)}",
        "sheet": sheet or "none",
        "cache": found.cache or "none: the files are read each time",
        "checked": found.checked,
    }
    for name, value in lines.items():
        out(f"{name:10} {value}")
    for name, sha256 in found.source.items():
        out(f"{'SHA-256':10} {sha256[:12]}… {name}")
    if len(found.class_names) <= FEW:
        counts = zip(found.class_names, found.train, found.test, strict=True)
        rows = [(name, str(train), str(test)) for name, train, test in counts]
        _print_table(("class", "train", "test"), rows, left=1)
    if found.note:
        out(f"Note: {found.note}")


def bars_of(result: Evaluation) -> str:
    """What the error bars of a figure are."""
    if result.spread is None:
        return f"bars: Wilson's 95 % interval for {result.images} images"
    return f"bars: deviation over {len(result.seeds)} encoder seeds"


def drawn(draw: Callable[[Path], None], path: Path) -> bool:
    """Draw a picture beside the answer; if that fails say so, since the answer stands."""
    try:
        draw(path)
    except (OSError, ValueError, MemoryError) as error:
        note(f"bntt: Not drawn: {one_line(error)}")
        return False
    return True


def _spread(counts: Sequence[int]) -> str:
    return f"{min(counts)} to {max(counts)}, median {median(counts):g}"


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 0) -> None:
    made = Table(box=None)
    for column, name in enumerate(head):
        justify = "left" if column < left else "right"
        made.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        # a class name may hold what is markup to rich
        made.add_row(*(Text(shown(cell)) for cell in row))
    table(made)
