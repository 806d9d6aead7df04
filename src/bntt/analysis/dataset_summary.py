"""A summary of an image or event set, as ``bntt data`` prints and draws it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import DataOptions, Dataset, load
from ..data.cache import cache_folder, verify
from ..data.catalogue import CATALOGUE
from ..data.originals import Originals
from ..machine.progress import Display
from ..machine.terminal import Beside, shown
from ..report import event_sheet, image_sheet

NAMED = 5
"""How many files a message names if many are wrong."""
EXAMPLES = 10
"""How many images of each class a contact sheet shows at most."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A summary of a set: what ``bntt data NAME`` prints."""

    name: str
    title: str
    shape: tuple[int, ...]
    """Shape of one sample: ``(C, H, W)``, or for events ``(T, 2, H, W)``."""
    class_names: tuple[str, ...]
    train: tuple[int, ...]
    """Number of training samples of each class."""
    test: tuple[int, ...]
    """Number of test samples of each class."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    note: str
    cache: str
    """Folder of the arrays that were made of the set; empty if it is small and has none."""
    source: dict[str, str]
    """SHA-256 of the bytes that were read, by name."""
    checked: str
    """What was checked against what, in words."""

    @property
    def events(self) -> bool:
        """Whether a sample is frames of events."""
        return len(self.shape) == 4

    def to_dict(self) -> dict[str, Any]:
        """Return all values in plain types, for JSON."""
        return asdict(self)


def load_whole(
    name: str, root: Path | None, options: DataOptions, *, verify_files: bool = False
) -> tuple[Dataset, str]:
    """Load a set, saying how it goes, and verify its cache if it has one.

    Args:
        name: One of ``bntt.data.NAMES``.
        root: Where it lies; if omitted, the cache, into which it may be downloaded.
        options: What of it is wanted.
        verify_files: Whether to read the files again that the cache was made of.

    Returns:
        The set, and in words what was compared with what.

    Raises:
        FileNotFoundError: If it is not there; of sets that are not downloaded the message
            says where to get them.
        ValueError: If a file is not what was published, the cache is damaged, or a file is
            not what the cache was made of.
    """
    if root is None and name in CATALOGUE and CATALOGUE[name].signs:
        CATALOGUE[name].check_obtainable(cache_folder())
    data = load(name, root, options, quiet=False)
    if data.cache is None:
        return data, "every file was read just now"
    with Beside().status("Checking the cache"):  # gigabytes take seconds
        verify(data.cache)
    if not verify_files or data.originals is None:
        return data, (
            "the cache with its own checksums; its files by name, size and date, since "
            "only --verify reads them again"
        )
    count = _compare(data.cache, data.originals)
    return data, f"the cache with its own checksums, and all {count:,} files with the cache"


def _compare(cache: Path, originals: Originals) -> int:
    """Compare all files with what the cache was made of and return how many they are."""
    count = len(set(originals.names))
    with Display("Reading the files again", count) as display:
        changed = originals.changed(display.advance)
    if changed:
        more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
        raise ValueError(
            f"{len(changed)} of {count} files in {originals.folder} are gone, or have "
            f"other bytes than when the cache was made: {', '.join(changed[:NAMED])}"
            f"{more}. Put back what was there, or delete {cache}: the next use makes the "
            f"cache of what is there now."
        )
    return count


def overview(data: Dataset, checked: str) -> Overview:
    """Summarise a set that was loaded.

    Args:
        data: The set.
        checked: What was checked against what, in words (see :func:`load_whole`).
    """
    train, test = (
        np.bincount(labels.numpy(), minlength=len(data.class_names)).tolist()
        for labels in (data.train_labels, data.test_labels)
    )
    return Overview(
        name=data.name,
        title=CATALOGUE[data.name].title,
        shape=tuple(data.train_images.shape[1:]),
        class_names=data.class_names,
        train=tuple(train),
        test=tuple(test),
        mean=data.mean,
        std=data.std,
        note=data.note,
        cache="" if data.cache is None else str(data.cache),
        source=data.source,
        checked=checked,
    )


def draw(data: Dataset, path: Path) -> None:
    """Draw the first training samples of every class as one picture.

    Raises:
        ImportError: If matplotlib is not installed.
        ValueError: If the ending is no format that matplotlib writes.
    """
    title = f"{CATALOGUE[data.name].title}: training samples"
    labels = data.train_labels.numpy()
    rows = []
    for label, name in enumerate(data.class_names):
        chosen = np.flatnonzero(labels == label)[: 1 if data.events else EXAMPLES]
        if len(chosen):
            # names of folders need not be text, and may break lines
            rows.append((shown(name), data.train_images[chosen].numpy()))
    if data.events:
        recordings = [(name, samples[0]) for name, samples in rows]
        event_sheet(recordings, path, title, _step(data))
    else:
        image_sheet(rows, path, title)


def _step(data: Dataset) -> str:
    """The duration of a time-step of a recording, in words; empty if it is not known."""
    steps, geometry = data.train_images.shape[1], data.geometry
    if geometry is None:
        return ""
    if geometry.frames == "count":
        return f"1/{steps} of the recording's events, however long that took"
    if geometry.window_ms:
        return f"{geometry.window_ms / steps:g} ms"
    median = "" if data.step_ms is None else f", {data.step_ms:.3g} ms at the median"
    return f"1/{steps} of the recording's time{median}"


def catalogue() -> dict[str, dict[str, Any]]:
    """Return every set's description by name, ready for JSON.

    Beside what `Description` says, ``"cached"`` is whether the cache holds the set: None
    where there is nothing to hold.
    """
    try:
        cache = cache_folder()
    except ImportError:  # no folder is named, and the platform's is not known
        cache = None
    return {
        name: asdict(one) | {"cached": one.lies_in(cache) if cache and one.signs else None}
        for name, one in CATALOGUE.items()
    }
