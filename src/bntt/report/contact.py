"""Contact sheets: a few samples of every class on one picture, to be looked at."""

from collections.abc import Callable, Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from .sheet import Sheet, text_width

Rows = Sequence[tuple[str, np.ndarray]]
"""Name of a class and its samples."""

Scales = Sequence[tuple[str, np.ndarray]]
"""What the samples of a colour mean, and these as RGB [H, W, 3] in [0, 1]."""

MOST, MOST_EVENTS = 200, 30
"""Classes on one sheet, of images and of events, which take a whole row each."""
FEW = 20
"""Classes that still go below one another; more are laid out in blocks side by side."""
EXAMPLES = 10
"""Images of a class, or frames of a recording, that stand side by side."""

GAP = 2
"""Pixels between tiles."""

MARGIN = 16
"""Pixels around everything."""

LINE = 18
"""Pixels from one line of text to the next."""
LONGEST = 26
"""Letters of a class name before it is cut."""

RED, BLUE = np.array([0.80, 0.10, 0.12]), np.array([0.08, 0.30, 0.75])
"""What a pixel full of ON events, and one full of OFF events, looks like, as RGB."""


def image_sheet(rows: Rows, path: str | Path, title: str) -> None:
    """Draw examples of every class beside its name.

    Args:
        rows: Per class uint8 [K, C, H, W], the more the wider the sheet, up to 10; C is 1
            or 3. All images have one size.
        path: Where the picture goes; its ending names the format.
        title: Above everything.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the ending is no format that matplotlib writes.
    """
    rows, title = _first(rows, MOST, title)
    blocks = 1 if len(rows) <= FEW else ceil(sqrt(len(rows) / 6))
    examples = EXAMPLES if blocks == 1 else 4
    strips = [(_short(name), _strip(_tiles(images[:examples]))) for name, images in rows]
    _draw(strips, blocks, path, title)


def event_sheet(rows: Rows, path: str | Path, title: str, step: str = "") -> None:
    """Draw the frames of one recording per class, and its time surface.

    Brighter (ON) is red, darker (OFF) blue, and stronger the more events there were. The
    time surface shows how lately there was an event at a pixel, and of which polarity.
    Two scales below say how strong is how much, for all rows alike.

    Args:
        rows: Per class uint8 [T, 2, H, W]; of more than 10 frames 10 are drawn.
        path: Where the picture goes; its ending names the format.
        title: Above everything.
        step: What a time-step is, such as ``"20 ms"``.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the ending is no format that matplotlib writes.
    """
    rows, title = _first(rows, MOST_EVENTS, title)
    steps = len(rows[0][1])
    shown = np.unique(np.linspace(0, steps - 1, min(steps, EXAMPLES)).round().astype(int))
    counts = [_shrunk(frames.astype(np.float64), np.sum) for _, frames in rows]
    full = _full(counts)
    strips = [
        (_short(name), _event_strip(recording, shown, full))
        for (name, _), recording in zip(rows, counts, strict=True)
    ]
    heads = [f"step {shown[0] + 1}", *(str(t + 1) for t in shown[1:]), "time surface"]
    lasting = f", each {step}" if step else ""
    title = (
        f"{title}\nRed: ON, it grew brighter. Blue: OFF, darker. White: no event. "
        f"{steps} steps{lasting}."
    )
    _draw(strips, 1, path, title, heads, _scales(full, steps))


def _full(counts: list[np.ndarray]) -> float:
    """How many events in a step at a pixel are drawn in full colour: few have more."""
    there = np.concatenate([recording[recording > 0] for recording in counts])
    return max(1.0, np.percentile(there, 95)) if len(there) else 1.0


def _scales(full: float, steps: int) -> Scales:
    """What the colours of frames and of the time surface mean, with samples as RGB."""
    most = ceil(full)
    some = sorted({1, max(1, round(most / 2)), most})
    ago = sorted({0, steps // 3, steps - 1})
    return [
        (
            f"events at a pixel in a step: {', '.join(map(str, some))}"
            f"{' or more' if some[-1] > 1 else ''}",
            _samples([_strength(np.array(float(count)), full) for count in some]),
        ),
        (
            f"time surface, latest event {', '.join(map(str, ago))} steps before the last",
            _samples([np.exp(-back / (steps / 3)) for back in ago]),
        ),
    ]


def _samples(strengths: Sequence[Any]) -> np.ndarray:
    """Squares of ON and then of OFF in these strengths, as RGB in [0, 1]."""
    row = np.broadcast_to(np.repeat(strengths, LINE), (LINE, len(strengths) * LINE))
    none = np.zeros_like(row)
    on, off = np.stack([none, row]), np.stack([row, none])
    return _coloured(np.concatenate([on, off], axis=-1))


def time_surface(frames: np.ndarray) -> np.ndarray:
    """Return how lately each pixel had an event, from 1 in the last frame to 0 for never.

    Args:
        frames: uint8 [T, 2, H, W].

    Returns:
        float64 [2, H, W], ``exp(-(T - 1 - t) / tau)`` where ``t`` is the last frame with an
        event and ``tau`` a third of ``T``.
    """
    steps = len(frames)
    happened = frames > 0
    ago = happened[::-1].argmax(0)
    return np.exp(-ago / (steps / 3)) * happened.any(0)


def _first(rows: Rows, most: int, title: str) -> tuple[Rows, str]:
    """As many rows as there is room for; if some are left out, the title says so."""
    if len(rows) <= most:
        return rows, title
    return rows[:most], f"{title}; the first {most} of {len(rows)} classes"


def _draw(
    strips: list[tuple[str, np.ndarray]],
    blocks: int,
    path: str | Path,
    title: str,
    heads: Sequence[str] = (),
    scales: Scales = (),
) -> None:
    """Lay out named strips in blocks side by side, read downwards, and save the page."""
    label = max(text_width(name) for name, _ in strips) + 8
    wide = max(pixels.shape[1] for _, pixels in strips)
    high = max(len(strips[0][1]), LINE) + 2 * GAP
    rows, column = ceil(len(strips) / blocks), label + wide + MARGIN
    above = MARGIN + LINE * (len(title.splitlines()) + bool(heads)) + 8
    below = above + rows * high + MARGIN
    sheet = Sheet(
        max(blocks * column + MARGIN, _widest(title, scales) + 2 * MARGIN),
        below + (LINE + 4) * len(scales) + MARGIN,
    )
    sheet.words(title, MARGIN, MARGIN, va="top")
    _write_heads(sheet, heads, MARGIN + label, wide, above - 4)
    for k, (name, pixels) in enumerate(strips):
        left = MARGIN + k // rows * column + label
        top = above + k % rows * high
        sheet.words(name, left - 8, top + len(pixels) / 2, ha="right", va="center")
        sheet.picture(pixels, left, top)
    _draw_scales(sheet, scales, below)
    sheet.save(path)


def _widest(title: str, scales: Scales) -> int:
    """Pixels that the title needs, or a scale with its words."""
    widths = [pixels.shape[1] + 8 + text_width(words) for words, pixels in scales]
    return max(text_width(title), *widths, 0)


def _write_heads(
    sheet: Sheet, heads: Sequence[str], left: int, wide: int, bottom: int
) -> None:
    """Write what the tiles of a strip are above them, each in the middle of its own."""
    for k, head in enumerate(heads):
        centre = left + (k + 0.5) * wide / len(heads)
        sheet.words(head, centre, bottom, ha="center", va="bottom")


def _draw_scales(sheet: Sheet, scales: Scales, top: int) -> None:
    """Draw scales below one another, the words of each behind it."""
    for words, pixels in scales:
        sheet.picture(pixels, MARGIN, top)
        sheet.words(words, MARGIN + pixels.shape[1] + 8, top + LINE / 2, va="center")
        top += LINE + 4


def _short(name: str) -> str:
    """The name of a class, cut where it is too long."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _tiles(images: np.ndarray) -> list[np.ndarray]:
    """Return images uint8 [K, C, H, W] as RGB in [0, 1], of about 64 to 128 pixels."""
    shrunk = _shrunk(images / 255, np.mean)
    colours = np.broadcast_to(shrunk, (len(shrunk), 3, *shrunk.shape[2:]))
    return [_enlarged(image.transpose(1, 2, 0), 64) for image in colours]


def _event_strip(counts: np.ndarray, shown: np.ndarray, full: float) -> np.ndarray:
    """Return the chosen frames of [T, 2, H, W] and the time surface in one row, as RGB."""
    tiles = [_enlarged(_coloured(_strength(counts[t], full)), 96) for t in shown]
    surface = time_surface(counts)
    # only the later of both polarities: their glazes would mix to a third colour
    latest = np.where(surface == surface.max(0), surface, 0)
    return _strip([*tiles, _enlarged(_coloured(latest), 96)], line=0.8)


def _strength(counts: np.ndarray, full: float) -> np.ndarray:
    """How strong a colour is, in [0, 1]: a single event must be seen."""
    return np.where(counts > 0, 0.3 + 0.7 * np.minimum(counts / full, 1), 0)


def _coloured(strength: np.ndarray) -> np.ndarray:
    """Return RGB [H, W, 3]: white under a glaze of blue (OFF) and one of red (ON)."""
    off, on = strength[..., None]
    return (1 - off * (1 - BLUE)) * (1 - on * (1 - RED))


def _shrunk(images: np.ndarray, how: Callable[..., np.ndarray]) -> np.ndarray:
    """Merge squares of pixels until an image [..., H, W] has no more than 128 each way."""
    height, width = images.shape[-2:]
    by = ceil(max(height, width) / 128)
    cut = images[..., : height // by * by, : width // by * by]
    split = cut.reshape(*images.shape[:-2], height // by, by, width // by, by)
    return how(split, axis=(-3, -1))


def _enlarged(image: np.ndarray, size: int) -> np.ndarray:
    """Repeat every pixel of [H, W, 3] as often as comes nearest to `size` pixels."""
    times = max(1, round(size / max(image.shape[:2])))
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _strip(tiles: list[np.ndarray], line: float = 1.0) -> np.ndarray:
    """Put tiles beside one another, with a line of this grey around each."""
    framed = [
        np.pad(t, ((GAP, GAP), (GAP, 0), (0, 0)), constant_values=line) for t in tiles
    ]
    last = np.full((len(framed[0]), GAP, 3), line)
    return np.concatenate([*framed, last], axis=1)
