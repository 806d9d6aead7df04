"""A page that pictures and words are put on by the pixel."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .target import new_figure, save

DPI = 128
"""A power of two, so that pixels to inches and back is exact."""
SIZE = 7
"""Of letters, in points: 12 pixels."""


class Sheet:
    """A white page, measured in pixels from its upper left corner.

    Args:
        width: In pixels.
        height: In pixels.

    Raises:
        ImportError: If matplotlib is not installed.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.figure = new_figure((width / DPI, height / DPI), dpi=DPI)
        self.pixels = np.full((height, width, 3), 255, dtype=np.uint8)

    def picture(self, colours: np.ndarray, left: int, top: int) -> None:
        """Put an image on the page, each of its pixels on one of the page.

        Args:
            colours: RGB [H, W, 3] in [0, 1].
            left: Column of the page where the image begins.
            top: Row of the page where it begins.
        """
        height, width = colours.shape[:2]
        self.pixels[top : top + height, left : left + width] = (colours * 255).round()

    def words(self, text: str, left: float, top: float, **style: Any) -> None:
        """Write a text as it stands: dollar signs begin no formula.

        Args:
            text: One line or several.
            left: Column of the page.
            top: Row of the page.
            style: Keywords of matplotlib's ``Figure.text``.
        """
        place = left / self.width, 1 - top / self.height
        self.figure.text(*place, text, **{"fontsize": SIZE, "parse_math": False} | style)

    def save(self, path: str | Path) -> None:
        """Write the page; the ending of the name is the format."""
        axes = self.figure.add_axes((0, 0, 1, 1))
        axes.imshow(self.pixels, interpolation="nearest")
        axes.set_axis_off()
        with _any_letters():
            save(self.figure, path, DPI)


def text_width(text: str) -> int:
    """Return how many pixels wide a line is in the size that `Sheet` writes in."""
    figure = new_figure((1, 1), dpi=DPI)
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    drawn = figure.text(0, 0, text, fontsize=SIZE, parse_math=False)
    with _any_letters():
        return round(drawn.get_window_extent(renderer).width)


@contextmanager
def _any_letters() -> Iterator[None]:
    """Draw a box, without a word about it, for letters that the font does not have."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)
        yield
