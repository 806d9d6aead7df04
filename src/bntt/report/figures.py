"""Figures drawn with matplotlib, which the extra ``plot`` brings."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .target import new_figure, save

Curve = tuple[Sequence[float], Sequence[float]]
"""Mean and spread per time-step, as shares in [0, 1]."""


def accuracy_over_time(curves: Mapping[str, Curve], path: str | Path, title: str) -> None:
    """Draw accuracy against the number of time-steps that were waited for.

    Args:
        curves: Mean and spread per time-step, by the name of the curve.
        path: Where the picture goes; its ending names the format.
        title: Above the axes.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the ending is no format that matplotlib writes.
    """
    figure = new_figure((6.4, 4.0), layout="constrained")
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_subplot()
    for name, (mean, spread) in curves.items():
        steps = range(1, len(mean) + 1)
        shares, deviation = [100 * m for m in mean], [100 * s for s in spread]
        axes.errorbar(
            steps, shares, deviation, marker="o", markersize=4, capsize=3, label=name
        )
        axes.annotate(
            f"{shares[-1]:.1f}",
            (len(mean), shares[-1]),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_xlabel("time-steps")
    axes.set_ylabel("accuracy (%)")
    axes.set_title(title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    save(figure, path, 150)
