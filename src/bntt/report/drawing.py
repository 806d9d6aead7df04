"""One figure with its numbers: at the width of a column, told apart without colours."""

import csv
import html
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..machine.files import replacing
from .target import new_figure, save

WIDTH = 3.5
"""Of a figure, in inches: one column of a paper in two columns."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#808080")
"""Okabe & Ito's palette: told apart by colour-blind readers too, on white and on black.
Its yellow and its black are left out, which one of the two grounds swallows; grey is in."""

MARKERS = "os^DvPX*"
LINES = ("-", "--", ":")
"""Of the first curves, as many as there are colours, of the next ones, and so on."""
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "---", "ooo")
INK = "#1a1b1c"
"""Of words and axes. On a page it becomes the colour of the page's own words."""

STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "hatch.linewidth": 0.5,
    # a run or a layer may be called anything, dollar signs included
    "text.parse_math": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"),
        INK,
    ),
}


@dataclass(frozen=True)
class Drawing:
    """A figure, the numbers that are in it, and what it shows in words."""

    figure: Any
    """A ``matplotlib.figure.Figure``."""
    title: str
    alt: str
    """What a reader who does not see it must know, in full sentences."""
    columns: tuple[str, ...]
    """Names of the numbers, with their units."""
    rows: tuple[tuple[Any, ...], ...]

    def csv(self) -> str:
        """The numbers, as comma-separated values under a line with their names."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return text.getvalue()

    def save(self, path: str | Path) -> None:
        """Write the picture, or the numbers if the name ends in ``.csv``.

        Raises:
            ValueError: If the ending is neither that nor a format that matplotlib writes.
            NotWritten: If the folder cannot be written or the disk is full.
        """
        if Path(path).suffix.lower() == ".csv":
            with replacing(path) as temporary:
                temporary.write_text(self.csv(), encoding="utf-8", newline="\n")
        else:
            save(self.figure, path, 200)

    def svg(self, prefix: str) -> str:
        """The picture as an element of a page, in the colour of the page's words.

        Letters are drawn as shapes, so that they are the same wherever the page is opened.

        Args:
            prefix: Of the names inside, which must differ from those of other pictures.
        """
        from matplotlib import rc_context

        text = io.StringIO()
        # a fixed salt: the same numbers give the same bytes
        with rc_context({"svg.fonttype": "path", "svg.hashsalt": "bntt"}):
            self.figure.savefig(
                text, format="svg", transparent=True, metadata={"Date": None}
            )
        return _embedded(text.getvalue(), prefix, self.alt)


@contextmanager
def column(height: float) -> Iterator[Any]:
    """An empty figure of a column's width, and matplotlib's style while it is drawn.

    Args:
        height: In inches.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    figure = new_figure((WIDTH, height), layout="constrained")
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield figure


def whole_steps(axis: Any) -> None:
    """Mark whole time-steps only, on an axis."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def line_style(number: int) -> dict[str, str]:
    """How the curve of this number, from 0, is drawn, for matplotlib's ``plot``."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": LINES[number // len(COLOURS) % len(LINES)],
    }


def legend_above(axes: Any, entries: int) -> None:
    """Put the legend above the axes, where no curve can run through it."""
    if entries > 1:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=min(entries, 4),
            columnspacing=1,
            handletextpad=0.4,
            borderaxespad=0.2,
        )


def evenly(items: Sequence[Any], most: int) -> list[int]:
    """Positions of at most so many items, the first and the last among them.

    >>> evenly("abcdefghi", 3)
    [0, 4, 8]
    """
    count = len(items)
    if count <= most:
        return list(range(count))
    return [round(k * (count - 1) / (most - 1)) for k in range(most)]


def _embedded(svg: str, prefix: str, alt: str) -> str:
    """An SVG document as part of a page: no prologue, no size, no name twice."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # most names are referred to by nothing
    svg = re.sub(r' id="[A-Za-z.]+_\d+"', "", svg)
    svg = re.sub(r' id="', f' id="{prefix}-', svg)
    svg = re.sub(r'((?:url\(|href=")#)', rf"\g<1>{prefix}-", svg)
    size = re.compile(r' (?:width|height)="[^"]*pt"')
    head, rest = svg.split(">", 1)
    label = html.escape(alt, quote=True)
    head = f'{size.sub("", head)} role="img" aria-label="{label}"'
    return f"{head}>{rest}".replace(INK, "currentColor").strip()
