"""The frames of a list of recordings, through the cache."""

import hashlib
import json
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from ..cache import cached, folder_of
from ..dataset import Dataset
from ..geometry import Geometry
from ..options import DataOptions, Request
from ..originals import SHA256, Originals, sha256_unchanged
from ..statistics import root_mean_square
from .clock import Faults, refuse_uneven, said, settle
from .frames import FULL, SCRATCH, check_frames, to_frames
from .listing import Listing, Sample
from .recording import Events
from .sensor import UNKNOWN

VERSION = 4
"""Version of what makes frames of recordings. It grows whenever the same recordings would
give other frames than before, and is part of the key of every cache of frames."""

CHUNK, CHUNK_BYTES = 32, 32 << 20
"""A thread counts so many samples before it writes them, or fewer: those whose frames take
so many bytes. A recording that holds several samples is read once per chunk."""
EVENTS = 12
"""Bytes of memory that reading a recording takes for each byte of its file."""


def load_frames(listing: Listing, request: Request) -> Dataset:
    """Return the frames of a set, from the cache or counted now.

    Raises:
        ValueError: If a recording is damaged, has no events or, where no image size is
            wanted, another sensor than the set.
    """
    options = request.options
    check_frames(options.num_steps, options.image_size, options.frames)
    size = options.image_size or listing.side
    rows, frames = len(listing.samples), options.num_steps * 2 * size * size
    arrays = cached(
        listing.name,
        _key(listing, options, size),
        {
            "frames": ((rows, options.num_steps, 2, size, size), "uint8"),
            "events": ((rows,), "int64"),
            "dropped": ((rows,), "int64"),
            "squares": ((rows, 2), "int64"),
            "skipped": ((rows,), "int64"),
            "outside": ((rows,), "int64"),
            "clock": ((rows, len(Faults._fields)), "int64"),
            "duration_us": ((rows,), "int64"),
            "sha256": ((rows, SHA256), "uint8"),
        },
        _Counter(listing, options, size).fill,
        chunk=max(1, min(CHUNK, CHUNK_BYTES // frames)),
        at_work=frames + SCRATCH + EVENTS * max(s.size for s in listing.files.values()),
        what=f"{listing.title}: frames",
        quiet=request.quiet,
    )
    return _dataset(listing, options, arrays)


def _key(listing: Listing, options: DataOptions, size: int) -> dict[str, Any]:
    samples = json.dumps(listing.samples).encode()
    return {
        "version": VERSION,
        "files": listing.fingerprint,
        "samples": hashlib.sha256(samples).hexdigest(),
        "num_steps": options.num_steps,
        "side": listing.side,
        "size": size,
        "by": options.frames,
        "sensor": options.sensor_sides,
        "outside": options.outside,
    }


class _Counter:
    """Fills rows of the cache; one file at a time is in memory per thread."""

    def __init__(self, listing: Listing, options: DataOptions, size: int) -> None:
        self.listing = listing
        self.samples = listing.samples
        self.options = options
        self.size = size

    def fill(self, first: int, last: int, views: dict[str, np.ndarray]) -> None:
        """Write the rows of samples `first` to `last`, the latter not included."""
        file, events, faults, sha256 = "", None, Faults(), b""
        for row, sample in enumerate(self.samples[first:last]):
            if events is None or sample.file != file:
                file, (events, faults) = sample.file, self._read(sample.file)
                stamp = self.listing.files[file]
                sha256 = sha256_unchanged(self.listing.folder / file, stamp)
            views["sha256"][row] = np.frombuffer(sha256, dtype=np.uint8)
            for name, value in self._count(sample, events).items():
                views[name][row] = value
            views["clock"][row] = faults

    def _read(self, file: str) -> tuple[Events, Faults]:
        path = self.listing.folder / file
        events = self.listing.read(path)
        side = max(events.width, events.height)
        if not self.options.image_size and side != self.listing.side:
            raise ValueError(
                f"{path} is of a sensor of {events.width} x {events.height} pixels, "
                f"expected {self.listing.side} as of the others. To scale all to one size, "
                f"set `image_size`."
            )
        events, faults = settle(path, events)
        if self.options.frames == "time" and self.listing.whole:
            refuse_uneven(path, events, faults)
        return events, faults

    def _count(self, sample: Sample, events: Events) -> dict[str, Any]:
        span = sample.span
        part = events if span is None else events.between(*span)
        if not len(part) and not self.listing.drop_empty:
            where = f" from {span[0]} to {span[1]} microseconds" if span else ""
            raise ValueError(
                f"{self.listing.folder / sample.file} holds no events{where}. Damaged, or "
                f"nothing moved? Extract it again, or take it out of the set."
            )
        options = self.options
        frames, dropped = to_frames(
            part, options.num_steps, self.size, options.frames, span
        )
        squares = np.einsum("tcyx,tcyx->c", frames, frames, dtype=np.int64)
        outside = events.skipped.get("outside", 0)
        return {
            "frames": frames,
            "events": len(part),
            "dropped": dropped,
            "squares": squares,
            "skipped": sum(events.skipped.values()) - outside,
            "outside": outside,
            "duration_us": _duration(part, span),
        }


def _duration(part: Events, span: tuple[int, int] | None) -> int:
    """Return the time, in microseconds, that the frames of a sample divide."""
    if span is not None:
        return span[1] - span[0]
    return int(part.t[-1]) - int(part.t[0]) if len(part) else 0


def _dataset(
    listing: Listing, options: DataOptions, arrays: dict[str, np.ndarray]
) -> Dataset:
    bounds = slice(0, len(listing.train)), slice(len(listing.train), None)
    parts = {name: [array[rows] for rows in bounds] for name, array in arrays.items()}
    keep = [events > 0 for events in parts["events"]]
    labels = [
        np.array([sample.label for sample in samples], dtype=np.int64)[kept]
        for samples, kept in zip((listing.train, listing.test), keep, strict=True)
    ]
    train, test = (_kept(*pair) for pair in zip(parts["frames"], keep, strict=True))
    mean, std, silent = root_mean_square(
        parts["squares"][0].sum(axis=0), train[:, :, 0].size
    )
    names = [sample.file for sample in listing.samples]
    originals = Originals(listing.folder, names, arrays["sha256"])
    source = {f"{listing.title} files": originals.digest, **listing.texts}
    return Dataset(
        name=listing.name,
        train_images=torch.from_numpy(train),
        train_labels=torch.from_numpy(labels[0]),
        test_images=torch.from_numpy(test),
        test_labels=torch.from_numpy(labels[1]),
        class_names=listing.class_names,
        mean=mean,
        std=std,
        source=source | (listing.split.source if listing.split else {}),
        originals=originals,
        split_sha256=listing.split.sha256 if listing.split else "",
        note=" ".join(
            [*listing.notes, *_counted(listing, arrays), *filter(None, [silent])]
        ),
        cache=folder_of(arrays["frames"]),
        geometry=_geometry(listing, options, train.shape[-1]),
        step_ms=_step_ms(parts["duration_us"][0][keep[0]], options),
    )


def _step_ms(durations: Int64[np.ndarray, " N"], options: DataOptions) -> float | None:
    """Return `Dataset.step_ms`, given the training samples' durations in microseconds."""
    if options.frames != "time" or not len(durations):
        return None
    return float(np.median(durations)) / 1000 / options.num_steps


def _geometry(listing: Listing, options: DataOptions, size: int) -> Geometry:
    known = listing.sensor != UNKNOWN
    return Geometry(
        channels=2,
        image_size=size,
        sensor="{}x{}".format(*listing.sensor) if known else "",
        frames=options.frames,
        window_ms=options.window_ms,
    )


def _kept(frames: np.ndarray, keep: np.ndarray) -> np.ndarray:
    return frames if keep.all() else frames[keep]  # only the second is a copy in memory


def _counted(listing: Listing, arrays: dict[str, np.ndarray]) -> list[str]:
    """Say what is not in the frames, and what was wrong with the recordings."""
    notes = []
    # parts of one file stand together, and each knows what the whole file skipped
    files = [sample.file for sample in listing.samples]
    first = np.array([k == 0 or files[k - 1] != files[k] for k in range(len(files))])
    if skipped := int(arrays["skipped"][first].sum()):
        notes.append(f"{skipped} records of the files are no events of a pixel.")
    if outside := int(arrays["outside"][first].sum()):
        worst = files[int(np.argmax(arrays["outside"]))]
        notes.append(f"Events outside the sensor, dropped: {outside}, most in {worst}.")
    if empty := int((arrays["events"] == 0).sum()):
        notes.append(f"Samples without events, left out: {empty}.")
    if dropped := int(arrays["dropped"].sum()):
        notes.append(
            f"{dropped} of {int(arrays['events'].sum())} events were dropped because a "
            f"pixel of a frame counts to {FULL}."
        )
    clocks = arrays["clock"].tolist()
    return notes + said({f: Faults(*c) for f, c in zip(files, clocks, strict=True)})
