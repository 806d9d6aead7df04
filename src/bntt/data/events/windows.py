"""Recordings cut into windows of equal length, each a sample.

All recordings are surveyed before the first frame is counted: their sensors and the spans
of their times decide how large frames are, and how many windows there will be.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..cache import cached
from ..options import Request
from ..originals import check_unchanged
from .clock import settle
from .listing import Listing, Sample
from .recording import Events
from .sensor import most

VERSION = 4
CHUNK = 8
COLUMNS = (
    "first_us",
    "last_us",
    "width",
    "height",
    "most_width",
    "most_height",
    "windows",
    "filled",
)
MOST_EMPTY = 100
"""A clock must have jumped where there are more than so many windows without events for
each that has some."""


@dataclass(frozen=True, eq=False)
class Survey:
    """One number per recording in each array, in the order of ``Listing.samples``."""

    first_us: np.ndarray
    """Time of the first event, in microseconds."""
    last_us: np.ndarray
    width: np.ndarray
    """Columns of the sensor; of a ``.npz`` file as many as its events need."""
    height: np.ndarray
    most_width: np.ndarray
    """Columns that all but a thousandth of the events need; see `sensor.most`."""
    most_height: np.ndarray
    windows: np.ndarray
    """Number of whole windows from the first event on; 1 if recordings are not cut."""
    filled: np.ndarray
    """Number of those windows that hold events."""


def survey(listing: Listing, request: Request) -> Survey:
    """Read every recording once, or know it from the cache.

    Raises:
        ValueError: If a recording is damaged or has no events.
    """
    options = request.options
    files = [sample.file for sample in listing.samples]

    def fill(first: int, last: int, views: dict[str, np.ndarray]) -> None:
        for row, file in enumerate(files[first:last]):
            path = listing.folder / file
            events, _ = settle(path, listing.read(path))
            check_unchanged(path, listing.files[file])
            if not len(events):
                raise ValueError(f"{path} holds no events.")
            views["survey"][row] = (
                *(int(events.t.min()), int(events.t.max())),
                *(events.width, events.height),
                *(most(events.x), most(events.y)),
                *_number_of_windows(events, options.window_ms * 1000),
            )

    key = {
        "version": VERSION,
        "files": listing.fingerprint,
        "order": files,
        "window_ms": options.window_ms,
        "sensor": options.sensor_sides,
        "outside": options.outside,
    }
    arrays = {"survey": ((len(files), len(COLUMNS)), "int64")}
    name, what = f"{listing.name}-survey", f"{listing.title}: reading recordings"
    found = cached(name, key, arrays, fill, chunk=CHUNK, what=what, quiet=request.quiet)
    return Survey(**dict(zip(COLUMNS, np.array(found["survey"]).T, strict=True)))


def _number_of_windows(events: Events, window_us: int) -> tuple[int, int]:
    """Return how many whole windows there are, and how many of these hold events."""
    count, filled = events.windows(window_us) if window_us else (1, [0])
    return count, len(filled)


def cut_into_windows(listing: Listing, survey: Survey, window_ms: int) -> Listing:
    """Return the listing with every recording cut into windows of `window_ms`.

    The first window begins with the first event. The last one, being incomplete, is left
    out, and so are windows without events; both are counted in the notes.

    Raises:
        ValueError: If nothing is left to train on, or to test on, or a recording's clock
            jumps, so that almost all its windows are empty.
    """
    _check_clocks(listing, survey)
    windows = [
        _windows(sample, int(first), int(count), window_ms * 1000)
        for sample, first, count in zip(
            listing.samples, survey.first_us, survey.windows, strict=True
        )
    ]
    recordings = len(listing.train)
    train = [part for parts in windows[:recordings] for part in parts]
    test = [part for parts in windows[recordings:] for part in parts]
    for kind, samples in (("training", train), ("test", test)):
        if not samples:
            raise ValueError(
                f"No {kind} recording in {listing.folder} is as long as a window of "
                f"{window_ms} ms. Set a shorter `window_ms`."
            )
    notes = (*listing.notes, *_notes(listing, survey, window_ms))
    return replace(listing, train=train, test=test, notes=notes, drop_empty=True)


def _windows(sample: Sample, first: int, count: int, window_us: int) -> list[Sample]:
    starts = range(first, first + count * window_us, window_us)
    return [Sample(sample.file, sample.label, at, at + window_us) for at in starts]


def _check_clocks(listing: Listing, survey: Survey) -> None:
    empty = survey.windows - survey.filled
    jumps = np.flatnonzero(empty > MOST_EMPTY * (survey.filled + 1))
    if len(jumps):
        k = jumps[0]
        raise ValueError(
            f"{listing.folder / listing.samples[k].file}: times run from "
            f"{survey.first_us[k]} to {survey.last_us[k]} microseconds, but only "
            f"{survey.filled[k]} of {survey.windows[k]} windows hold events. "
            f"Its clock seems to jump: cut the recording there, or take it out of the set."
        )


def _notes(listing: Listing, survey: Survey, window_ms: int) -> list[str]:
    lengths = survey.last_us - survey.first_us + 1
    incomplete = int(np.count_nonzero(lengths % (window_ms * 1000)))
    notes = [
        f"Windows of {window_ms} ms: {survey.windows.sum()} of {len(lengths)} recordings; "
        f"last, incomplete ones left out: {incomplete}."
    ]
    if short := int(np.count_nonzero(survey.windows == 0)):
        notes.append(f"Recordings shorter than a window, left out: {short}.")
    if listing.split:
        notes.append("The split divided recordings: all windows of one are on one side.")
    return notes
