"""One image on its way through a network: who fires when, and what membranes do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .drawing import COLOURS, Drawing, column, line_style, whole_steps


@dataclass(frozen=True)
class Trace:
    """One neuron over time."""

    layer: str
    membrane: Sequence[float]
    """Potential after the reset of every time-step."""
    threshold: float
    spikes: Sequence[int]
    """Time-steps, from 1, at which it fires."""


@dataclass(frozen=True)
class Raster:
    """Which neurons fire when, for one image."""

    image: str
    """Which image it is, and what the network says of it, in words."""
    num_steps: int
    spikes: Mapping[str, Sequence[Sequence[int]]]
    """For every layer, by its name, one list per neuron of the time-steps, from 1, at
    which it fires."""
    traces: Sequence[Trace]
    """Neurons whose membranes are drawn."""


def spike_raster(raster: Raster) -> Drawing:
    """Draw which neurons fire at which time-steps, and some membranes below.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If there is no layer.
    """
    spikes, traces, num_steps = raster.spikes, raster.traces, raster.num_steps
    if not spikes:
        raise ValueError("A raster needs at least one layer, got none.")
    heights = [2.6] + [0.5] * len(traces)
    with column(0.8 + 0.75 * sum(heights)) as figure:
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        panels = panels if traces else [panels]
        _draw_raster(panels[0], spikes, min(6.0, 70 / num_steps))
        panels[0].set_xlim(0.5, num_steps + 0.5)
        for axes, trace in zip(panels[1:], traces, strict=True):
            _draw_trace(axes, trace)
        panels[-1].set_xlabel("time-step")
        whole_steps(panels[-1].xaxis)
    counts = {name: sum(map(len, neurons)) for name, neurons in spikes.items()}
    said = [
        f"{name} {counts[name]} spikes of {len(neurons)} neurons"
        for name, neurons in spikes.items()
    ]
    below = f"Below, the membranes of {len(traces)} neurons after every reset."
    return Drawing(
        figure=figure,
        title="One image on its way through the network",
        alt=f"{raster.image} Raster of spikes, layers from the input down, time-steps "
        f"across, some neurons of each layer: {', '.join(said)}. {below}",
        columns=("layer", "neuron", "fires at time-steps"),
        rows=tuple(
            (name, number, " ".join(map(str, times)))
            for name, neurons in spikes.items()
            for number, times in enumerate(neurons)
        ),
    )


def _draw_raster(
    axes: Any, spikes: Mapping[str, Sequence[Sequence[int]]], width: float
) -> None:
    """Rows of neurons, the layers below each other with a gap between them."""
    top, middles = 0, []
    for number, neurons in enumerate(spikes.values()):
        axes.eventplot(
            [list(times) for times in neurons],
            lineoffsets=[top + k for k in range(len(neurons))],
            linelengths=0.9,
            linewidths=width,
            color=line_style(number)["color"],
        )
        middles.append(top + (len(neurons) - 1) / 2)
        top += len(neurons) + 3
    axes.set_yticks(middles, list(spikes))
    axes.set_ylim(top - 2, -2)
    axes.grid(visible=False, axis="y")
    axes.set_title("spikes of some neurons of every layer", loc="left")


def _draw_trace(axes: Any, trace: Trace) -> None:
    times = range(1, len(trace.membrane) + 1)
    axes.plot(times, trace.membrane, color=COLOURS[0], marker="o", markersize=2)
    axes.axhline(trace.threshold, color=COLOURS[1], linestyle="--", linewidth=1)
    axes.plot(
        list(trace.spikes),
        [trace.threshold] * len(trace.spikes),
        color=COLOURS[1],
        linestyle="none",
        marker="|",
        markersize=6,
    )
    axes.set_title(f"membrane of a neuron of {trace.layer}", loc="left")
