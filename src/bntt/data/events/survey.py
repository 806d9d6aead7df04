"""What must be known of all recordings of a folder before the first frame is counted."""

from dataclasses import dataclass

import numpy as np

from ..cache import cached
from .samples import Listing

VERSION = 1
CHUNK = 8
COLUMNS = ("first_us", "last_us", "width", "height", "windows", "filled")


@dataclass(frozen=True, eq=False)
class Survey:
    """One number per recording in each array, in the order of ``Listing.samples``."""

    first_us: np.ndarray
    """Time of the first event."""
    last_us: np.ndarray
    width: np.ndarray
    """Columns of the sensor; of a ``.npz`` file as many as its events need."""
    height: np.ndarray
    windows: np.ndarray
    """Whole windows from the first event on; 1, if there are to be none."""
    filled: np.ndarray
    """Those of them that hold events."""


def survey(listing: Listing, window_ms: int, quiet: bool) -> Survey:
    """Read every recording once, or know it from the cache.

    Raises:
        ValueError: If a recording is damaged or has no events.
    """
    files = [sample.file for sample in listing.samples]

    def fill(first: int, last: int, views: dict[str, np.ndarray]) -> None:
        for row, file in enumerate(files[first:last]):
            events = listing.read(listing.root / file)
            if not len(events):
                raise ValueError(f"{listing.root / file} holds no events.")
            windows = _windows(events.t, window_ms * 1000)
            views["survey"][row] = *windows[:2], events.width, events.height, *windows[2:]

    key = {
        "version": VERSION,
        "files": listing.fingerprint,
        "own": listing.own,
        "order": files,
        "window_ms": window_ms,
    }
    arrays = {"survey": ((len(files), len(COLUMNS)), "int64")}
    name, what = f"{listing.name}-survey", f"{listing.title}: reading recordings"
    found = cached(name, key, arrays, fill, chunk=CHUNK, what=what, quiet=quiet)["survey"]
    return Survey(**dict(zip(COLUMNS, np.array(found).T, strict=True)))


def _windows(t: np.ndarray, window_us: int) -> tuple[int, int, int, int]:
    """Return first time, last time, whole windows, and how many of these hold events."""
    first, last = int(t.min()), int(t.max())
    if not window_us:
        return first, last, 1, 1
    count = (last - first + 1) // window_us
    number = np.unique((t - first) // window_us)
    return first, last, count, int(np.count_nonzero(number < count))
