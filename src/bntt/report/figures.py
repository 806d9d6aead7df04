"""Figures drawn with matplotlib, which the extra ``plot`` brings."""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from pathlib import Path
from typing import Any

from .target import new_figure, save

Interval = tuple[float, float]
"""Lower and upper end, as shares in [0, 1]."""

Curve = tuple[Sequence[float], Sequence[float] | Sequence[Interval] | None]
"""A mean per time-step and how far off it may be, as shares in [0, 1].

That is its standard deviation, the interval around it, or None where nobody knows.
"""

MARKERS = "os^DvPX*"
"""One for each curve, so that nobody needs to tell colours apart."""
LINE = 0.06
"""Of the axis' height: how far apart numbers at the end of curves must be."""


def accuracy_over_time(
    curves: Mapping[str, Curve], path: str | Path, title: str, bars: str = ""
) -> None:
    """Draw accuracy against the number of time-steps that were waited for.

    Args:
        curves: By the name that stands in the legend.
        path: Where the picture goes; its ending names the format.
        title: Above the axes.
        bars: What the error bars are, to be said below the axes.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the ending is no format that matplotlib writes.
    """
    figure = new_figure((6.4, 4.0), layout="constrained")
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    for number, (name, (mean, around)) in enumerate(curves.items()):
        axes.errorbar(
            range(1, len(mean) + 1),
            [100 * share for share in mean],
            None if around is None else _lengths(mean, around),
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            capsize=3,
            label=name,
        )
    _say_the_range(axes)
    _write_the_last(axes, [mean for mean, _ in curves.values()])
    below = f"time-steps\n{bars}" if bars else "time-steps"
    axes.set_xlabel(below, parse_math=False)
    axes.set_title(title, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    legend = axes.legend(frameon=False, loc="lower right")
    for text in legend.get_texts():
        text.set_parse_math(False)  # a run may be called anything
    save(figure, path, 150)


def _lengths(mean: Sequence[float], around: Sequence[Any]) -> list[list[float]]:
    """How far the bars go down and up from the mean, in per cent."""
    ends = [
        bar if isinstance(bar, tuple | list) else (share - bar, share + bar)
        for share, bar in zip(mean, around, strict=True)
    ]
    down = [100 * max(0.0, share - low) for share, (low, _) in zip(mean, ends, strict=True)]
    up = [100 * max(0.0, high - share) for share, (_, high) in zip(mean, ends, strict=True)]
    return [down, up]


def _say_the_range(axes: Any) -> None:
    """Name the axis, and where it begins and ends if that is not at 0 and 100 %."""
    low, high = axes.get_ylim()
    low, high = max(0.0, floor(10 * low) / 10), min(100.0, ceil(10 * high) / 10)
    axes.set_ylim(low, high + 0.02 * (high - low))  # a marker at 100 % is seen whole
    whole = low == 0 and high == 100
    axes.set_ylabel(
        "accuracy (%)" if whole else f"accuracy (%), axis from {low:.4g} to {high:.4g}"
    )


def _write_the_last(axes: Any, means: Sequence[Sequence[float]]) -> None:
    """Write each curve's last value beside it, inside the axes and apart from others."""
    longest = max(len(mean) for mean in means)
    axes.set_xlim(0.8, longest + max(0.4, 0.12 * longest))
    low, high = axes.get_ylim()
    least, place = LINE * (high - low), low
    for mean in sorted(means, key=lambda mean: mean[-1]):
        place = max(100 * mean[-1], place + least)
        axes.annotate(
            f"{100 * mean[-1]:.1f}",
            (len(mean), place),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
