"""The numbers of runs in words and in tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .costs import in_joules
from .run_facts import Object, RunFacts, steps_of


@dataclass(frozen=True)
class Row:
    """One line of a table with a column for every run."""

    name: str
    cells: tuple[str, ...]
    differs: bool
    """Whether the runs do."""


def in_words(run: RunFacts) -> list[str]:
    """What a newcomer should know of a run, in sentences."""
    exits = [_exit_in_words(exit) for exit in run.exits]
    found = (_accuracy_in_words(run), _gains_in_words(run), *exits, _energy_in_words(run))
    return [sentence for sentence in found if sentence]


def comparison(runs: Sequence[RunFacts]) -> list[Row]:
    """The most important numbers; those that no run has are left out."""
    rows = [_row(name, [cell(run) for run in runs]) for name, cell in NUMBERS.items()]
    return [row for row in rows if set(row.cells) != {MISSING}]


def recipe_table(runs: Sequence[RunFacts]) -> list[Row]:
    """Every key of the recipes."""
    keys = dict.fromkeys(key for run in runs for key in run.recipe)
    return [_row(key, [_as_written(run.recipe, key) for run in runs]) for key in keys]


def origin(runs: Sequence[RunFacts]) -> list[Row]:
    """On what the numbers were obtained: code, versions, machine, data."""
    rows = [_row(name, [cell(run) for run in runs]) for name, cell in ORIGIN.items()]
    return [row for row in rows if set(row.cells) != {MISSING}]


MISSING = "not known"


def _row(name: str, values: Sequence[Any]) -> Row:
    cells = tuple(MISSING if value in (None, "") else str(value) for value in values)
    return Row(name, cells, len(set(cells)) > 1)


def _as_written(recipe: Object, key: str) -> str:
    """A value of a recipe; an empty word shows its quotes."""
    return (str(recipe[key]) or '""') if key in recipe else ""


def _accuracy_in_words(run: RunFacts) -> str:
    if not (found := run.evaluation):
        return ""
    mean = found["mean"]
    first = f", and on {mean[0]:.1%} after the first" if len(mean) > 1 else ""
    steps = f"{len(mean)} time-step{'s' * (len(mean) > 1)}"
    return (
        f"After {steps} it is right on {mean[-1]:.1%} of {found['images']:,} test images "
        f"of {found['dataset']}{first}."
    )


def _gains_in_words(run: RunFacts) -> str:
    if not (gains := run.gains):
        return ""
    steps = len(next(iter(gains.of_channels.values())))
    kept = gains.steps_kept
    if kept == steps:
        return (
            f"By its gains it needs all {steps} time-steps: at the last one the mean gain "
            f"of some layer still reaches {gains.threshold:g}."
        )
    sentence = (
        f"By its gains, at a threshold of {gains.threshold:g}, it may stop after {kept} of "
        f"{steps} time-steps, which saves {1 - kept / steps:.0%} of them"
    )
    if run.evaluation and len(mean := run.evaluation["mean"]) >= kept:
        sentence += f"; after step {kept} it is right on {mean[kept - 1]:.1%}"
    return f"{sentence}."


def _exit_in_words(exit: Object) -> str:
    if not (steps := steps_of(exit)):
        return ""
    time = ""
    if exit.get("seconds") and exit.get("full_seconds"):
        time = f" in {exit['seconds'] / exit['full_seconds']:.0%} of the time"
    return (
        f"With the exit by {exit['rule']}, images stop after {steps:.3g} time-steps in the "
        f"mean and {exit['accuracy']:.1%} are right{time}, against "
        f"{exit['full_accuracy']:.1%} with all steps."
    )


def _energy_in_words(run: RunFacts) -> str:
    if not run.energy:
        return ""
    total = run.energy["total"]
    others = [_beside(total["joules"], other) for other in total.get("against", ())]
    against = f": {', '.join(others)}" if others else ""
    return f"An image takes an estimated {in_joules(total['joules'])}{against}."


def _beside(joules: float, other: Object) -> str:
    comparison = "less" if joules < other["joules"] else "more"
    return f"{comparison} than {other['against']} ({in_joules(other['joules'])})"


def _last_accuracy(run: RunFacts) -> str:
    if not (found := run.evaluation):
        return ""
    if interval := found.get("interval"):
        low, high = interval[-1]
        return f"{found['mean'][-1]:.2%} (95 %: {100 * low:.2f} to {100 * high:.2f})"
    return f"{found['mean'][-1]:.2%}"


def _kept_by_gains(run: RunFacts) -> str:
    if not (gains := run.gains):
        return ""
    return f"{gains.steps_kept} of {len(next(iter(gains.of_channels.values())))}"


def _spikes(run: RunFacts) -> str:
    layers = (run.energy or {}).get("layers") or ()
    steps = [step for layer in layers for step in layer["steps"] if step.get("neurons")]
    if not steps:
        return ""
    return f"{sum(s['spikes'] for s in steps) / sum(s['neurons'] for s in steps):.1%}"


def _time(run: RunFacts) -> str:
    seconds = run.info.get("seconds")
    if not isinstance(seconds, int | float):
        return ""
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"


Cell = Callable[[RunFacts], Any]

NUMBERS: dict[str, Cell] = {
    "data set": lambda run: run.recipe.get("dataset"),
    "network": lambda run: run.recipe.get("arch"),
    "parameters": lambda run: f"{run.parameters:,}" if run.parameters else "",
    "time-steps": lambda run: run.recipe.get("num_steps"),
    "accuracy after the last step": _last_accuracy,
    "accuracy after the first step": lambda run: (
        f"{run.evaluation['mean'][0]:.2%}" if run.evaluation else ""
    ),
    "steps kept by gains": _kept_by_gains,
    "mean steps with an early exit": lambda run: _joined(
        f"{exit['rule']} {steps:.3g}" for exit in run.exits if (steps := steps_of(exit))
    ),
    "energy of an image": lambda run: (
        in_joules(run.energy["total"]["joules"]) if run.energy else ""
    ),
    "neurons that fire at a step": _spikes,
    "training time": _time,
}


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words)


def _nested(run: RunFacts, *names: str) -> Any:
    value: Any = run.info
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _digests(run: RunFacts) -> str:
    source = run.info.get("source") or {}
    shown = [f"{name} {digest[:12]}…" for name, digest in list(source.items())[:3]]
    return ", ".join(shown) + (" and others" if len(source) > 3 else "")


ORIGIN: dict[str, Cell] = {
    "trained with": lambda run: run.info.get("command"),
    "commit": lambda run: run.info.get("commit"),
    "torch": lambda run: _nested(run, "versions", "torch"),
    "processor": lambda run: _nested(run, "processor", "model"),
    "threads": lambda run: run.info.get("threads"),
    "device": lambda run: run.info.get("device"),
    "precision": lambda run: run.info.get("precision"),
    "seed": lambda run: run.recipe.get("seed"),
    "SHA-256 of the data": _digests,
    "evaluated on": lambda run: (
        f"{run.evaluation['images']:,} test images, encoder seeds "
        f"{', '.join(map(str, run.evaluation.get('seeds', ())))}"
        if run.evaluation
        else ""
    ),
    "exit chosen on": lambda run: _joined(
        f"{exit['rule']}: {exit['held_out']}" for exit in run.exits if exit.get("held_out")
    ),
    "energy counted on": lambda run: (
        f"{run.energy['images']:,} images, constants {run.energy['constants']['name']}: "
        f"{run.energy['constants']['source']}"
        if run.energy
        else ""
    ),
}
