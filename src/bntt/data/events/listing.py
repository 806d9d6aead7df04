"""What an event set consists of, before any of its recordings is read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..originals import fingerprint
from ..splits import Split
from ..tree import Stamp
from .files import read_recording
from .recording import Events
from .sensor import UNKNOWN, Sides


class Sample(NamedTuple):
    """A recording, or a part of one."""

    file: str
    """Its path relative to the set's folder, with forward slashes."""
    label: int
    start_us: int | None = None
    """First microsecond of the part on the recording's clock; None for a whole
    recording."""
    stop_us: int | None = None
    """The microsecond after the part's last; None for a whole recording."""

    @property
    def span(self) -> tuple[int, int] | None:
        """Start and stop, or None for a whole recording."""
        if self.start_us is None or self.stop_us is None:
            return None
        return self.start_us, self.stop_us


@dataclass(frozen=True, kw_only=True)
class Listing:
    """An event set before any recording is read."""

    name: str
    title: str
    folder: Path
    """In which the recordings lie."""
    files: Mapping[str, Stamp]
    """The recordings, by their paths relative to `folder`."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """SHA-256, by name, of the files that decide labels and parts beside the recordings."""
    train: list[Sample]
    """Training samples; those that are parts of one recording stand together."""
    test: list[Sample]
    class_names: tuple[str, ...]
    side: int
    """The longer side of the largest sensor, in pixels."""
    sensor: Sides = UNKNOWN
    """Columns and rows, if they are the same for all recordings; else `UNKNOWN`."""
    notes: tuple[str, ...] = ()
    split: Split | None = None
    """How the recordings were divided, if the set has no official division."""
    read: Callable[[Path], Events] = read_recording
    drop_empty: bool = False
    """Whether a sample without events is left out; else it is an error."""

    @property
    def whole(self) -> bool:
        """Whether every sample is a whole recording."""
        return all(sample.span is None for sample in self.samples)

    @property
    def samples(self) -> list[Sample]:
        """Training samples, then test samples: the rows of the cache."""
        return [*self.train, *self.test]

    @cached_property
    def fingerprint(self) -> str:
        """By which the recordings are known again without being read."""
        return fingerprint(self.files)
