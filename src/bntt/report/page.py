"""One page on one or several runs, whole in one file: it loads nothing from anywhere."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..machine.extras import how_to_install
from .accuracy import accuracy_by_mean_steps, accuracy_by_step, exit_histogram
from .costs import energy_bars, spikes_by_layer
from .drawing import Drawing
from .figures import Interval
from .gains import gain_heatmap, gain_histograms
from .raster import spike_raster
from .run_facts import Object, RunFacts
from .summary import comparison, in_words, origin, recipe_table
from .training import training_curves

TEMPLATE = Path(__file__).with_name("page.html.jinja")


@dataclass(frozen=True)
class Panel:
    """A figure on the page, and the run that it is of; no run if it is of all of them."""

    run: str
    drawing: Drawing


@dataclass(frozen=True)
class Topic:
    """A question, how to read its answer, and the figures that answer it."""

    title: str
    explanation: str
    panels: tuple[Panel, ...]


def page(runs: Sequence[RunFacts], made: str) -> str:
    """The page, as HTML.

    Args:
        runs: At least one; their names differ.
        made: When and by what it is made, in words.

    Raises:
        ImportError: If Jinja2 or matplotlib is not installed.
        ValueError: If there is no run.
    """
    if not runs:
        raise ValueError("A report needs at least one run, got none.")
    template = _environment().from_string(TEMPLATE.read_text(encoding="utf-8"))
    names = [run.name for run in runs]
    return template.render(
        title=f"bntt: {', '.join(names)}",
        names=names,
        words=[(run.name, in_words(run)) for run in runs],
        notes=[(run.name, run.notes) for run in runs if run.notes],
        comparison=comparison(runs),
        topics=topics(runs),
        recipe=recipe_table(runs),
        origin=origin(runs),
        made=made,
    )


def topics(runs: Sequence[RunFacts]) -> list[Topic]:
    """What the page shows, in its order: only what there are numbers for."""
    found = [
        Topic(title, explanation, tuple(panels(runs)))
        for title, explanation, panels in TOPICS
    ]
    return [topic for topic in found if topic.panels]


Panels = Iterator[Panel]


def _accuracy(runs: Sequence[RunFacts]) -> Panels:
    curves = {
        run.name: (run.evaluation["mean"], _bars_of(run.evaluation))
        for run in runs
        if run.evaluation
    }
    if curves:
        yield Panel("", accuracy_by_step(curves))


def _bars_of(evaluation: Object) -> list[float] | list[Interval] | None:
    """How far off each mean may be: over seeds, or else for so many images."""
    if std := evaluation.get("std"):
        return std
    intervals = evaluation.get("interval")
    return intervals and [(low, high) for low, high in intervals]


def _gains(runs: Sequence[RunFacts]) -> Panels:
    for run in runs:
        if gains := run.gains:
            heatmap = gain_heatmap(gains.means, gains.threshold, gains.steps_kept)
            yield Panel(run.name, heatmap)
            yield Panel(run.name, gain_histograms(gains.of_channels))


def _exits(runs: Sequence[RunFacts]) -> Panels:
    sweeps = {
        _of(run.name, exit["rule"], runs): [
            (point["mean_steps"], point["accuracy"]) for point in exit["points"]
        ]
        for run in runs
        for exit in run.exits
        if exit.get("points")
    }
    if sweeps:
        yield Panel("", accuracy_by_mean_steps(sweeps))
    for run in runs:
        for exit in run.exits:
            if sum(counts := exit.get("counts") or ()):
                yield Panel(run.name, exit_histogram(counts, exit["rule"]))


def _of(run: str, rule: str, runs: Sequence[RunFacts]) -> str:
    return rule if len(runs) == 1 else f"{run}, {rule}"


def _spikes(runs: Sequence[RunFacts]) -> Panels:
    for run in runs:
        if run.rates:
            yield Panel(run.name, spikes_by_layer(run.rates))


def _energy(runs: Sequence[RunFacts]) -> Panels:
    for run in runs:
        if run.energy:
            yield Panel(run.name, energy_bars(_bars(run)))


def _bars(run: RunFacts) -> dict[str, dict[str, float]]:
    """Joules by part: of the network, with its early exits, and of the alternatives."""
    bars = {}
    for one in run.energies:
        exit = one.get("exit")
        name = f"exit by {exit['rule']}" if exit else "this network"
        lines = one["total"]["lines"]
        bars.setdefault(name, {line["name"]: line["joules"] for line in lines})
    for other in (run.energy or {})["total"].get("against", ()):
        bars[other["against"]] = {"all operations": other["joules"]}
    return bars


def _rasters(runs: Sequence[RunFacts]) -> Panels:
    for run in runs:
        if run.raster:
            yield Panel(run.name, spike_raster(run.raster))


def _training(runs: Sequence[RunFacts]) -> Panels:
    for run in runs:
        if any("loss" in entry for entry in run.log):
            yield Panel(run.name, training_curves(run.log))


TOPICS: tuple[tuple[str, str, Callable[[Sequence[RunFacts]], Panels]], ...] = (
    (
        "How good is it, and how soon?",
        "The network looks at an image once in every time-step, and its answer is the mean "
        "of what it has said so far. Whoever stops earlier saves the steps that are left. "
        "All test images count; bars are the deviation over seeds of the coding, or else "
        "a 95 % interval.",
        _accuracy,
    ),
    (
        "When may every image stop?",
        "Each layer has a gain for each channel and time-step. Once the mean gain of every "
        "layer stays below the threshold, later steps pass nothing on that matters. A gain "
        "without a gradient shrinks by weight decay alone, so a network that was trained "
        "briefly may keep all its steps.",
        _gains,
    ),
    (
        "When may a single image stop?",
        "An image leaves as soon as its answer is sure enough by the rule that is named.",
        _exits,
    ),
    (
        "How many spikes are there?",
        "Every spike causes additions in the layers that read it, so fewer spikes are less "
        "energy.",
        _spikes,
    ),
    (
        "What does an image cost?",
        "Operations counted one by one, times the energy that one takes by the constants "
        "named below. Beside them, what networks without spikes would take.",
        _energy,
    ),
    (
        "What happens inside?",
        "Each mark is a spike. Below, membranes after the reset of each step; the dashed "
        "line is the firing threshold, and a mark on it is a spike.",
        _rasters,
    ),
    (
        "How was it trained?",
        "The loss is averaged over neighbouring steps. Validation images were held out of "
        "training.",
        _training,
    ),
)


def check_installed() -> None:
    """Refuse before the work if a page, or a figure in it, could not be made.

    Raises:
        ImportError: Naming what is missing, and the extra that brings all of it.
    """
    for module, name in (("jinja2", "Jinja2"), ("matplotlib.figure", "matplotlib")):
        try:
            import_module(module)
        except ImportError as error:
            raise ImportError(
                f"A page needs {name}, which is not installed: {how_to_install('report')}"
            ) from error


def _environment() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["number"] = _number
    environment.filters["uri"] = quote
    return environment


def _number(value: Any) -> str:
    """A cell of a table: four digits of what is measured, all of what is counted."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
