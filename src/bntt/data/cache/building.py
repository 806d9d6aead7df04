"""Build a cache: chunks on threads, each written when it is made, then journalled."""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from ...machine.files import flush, replacing
from ...machine.not_written import disk_full
from ...machine.progress import Display

META = "meta.json"
CHECK = "check"
"""Entry of that file: the checksum of all others."""
JOURNAL = "journal.jsonl"
AT_WORK = 1 << 30
"""Bytes that all threads together may take; a single one takes what it needs."""
BIG = 4 << 30
"""Bytes from which on a cache is announced with the room that there is."""

Fill = Callable[[int, int, dict[str, np.ndarray]], None]
"""Writes the rows from ``first`` up to ``last`` of every array."""


@dataclass(frozen=True)
class Plan:
    """What a cache holds: arrays of one row per sample.

    Raises:
        ValueError: If the arrays do not have one number of rows, or have none.
    """

    arrays: dict[str, tuple[tuple[int, ...], str]]
    """Shape and dtype by name."""
    chunk: int
    """Rows made at a time, by one thread."""
    at_work: int = 0
    """Bytes that it takes for that beside the rows."""

    def __post_init__(self) -> None:
        counts = {shape[0] for shape, _ in self.arrays.values()}
        if len(counts) != 1 or self.rows < 1 or self.chunk < 1:
            raise ValueError(
                f"The arrays of a cache must have one number of rows, at least 1, made at "
                f"least 1 at a time; got {self.arrays} and {self.chunk} at a time."
            )

    @property
    def rows(self) -> int:
        """Samples."""
        return next(iter(self.arrays.values()))[0][0]

    @property
    def nbytes(self) -> int:
        """Size of all arrays."""
        # in Python's numbers, which do not overflow
        return sum(
            math.prod(map(int, shape)) * np.dtype(dtype).itemsize
            for shape, dtype in self.arrays.values()
        )

    @property
    def threads(self) -> int:
        """How many make rows at a time: one a core, or as many as may be in memory."""
        rows = self.nbytes // self.rows * min(self.chunk, self.rows)
        return max(1, min(_cores(), AT_WORK // max(1, rows + self.at_work)))

    @property
    def chunks(self) -> list[tuple[int, int]]:
        """First and last + 1 row of every chunk."""
        firsts = range(0, self.rows, self.chunk)
        return [(first, min(first + self.chunk, self.rows)) for first in firsts]


def build(
    folder: Path, plan: Plan, meta: dict[str, Any], fill: Fill, what: str, quiet: bool
) -> None:
    """Make the arrays of `plan` and let `folder` appear when they are whole.

    Raises:
        OSError: If the disk is full or may not be written to.
        Exception: Whatever `fill` raises, of the first chunk of those that fail.
    """
    part = _part_of(folder)
    try:
        with Display(what, plan.rows, quiet=quiet) as display:
            display.say(f"{what}: {_size(plan, folder)}, kept in {folder.parent}")
            with writing(part, plan.nbytes):
                work = _Work(part, plan, fill, _resume(part, plan))
            _finish(work, display)
    except (ValueError, Full):  # of no use any more, or in everyone's way
        shutil.rmtree(part, ignore_errors=True)
        raise
    with writing(part, plan.nbytes):
        _publish(part, folder, plan, meta | {"sha256": work.sums()})


def check_room(folder: Path, plan: Plan) -> None:
    """Refuse a cache that the disk cannot hold, before anything is written.

    Raises:
        OSError: If it cannot.
    """
    free = _free(folder, plan)
    needed = plan.nbytes - _taken(_part_of(folder))
    if needed > free:
        raise OSError(
            f"The cache {folder} would take {_megabytes(plan.nbytes)}, but only "
            f"{_megabytes(free)} are free there. Make room, name another folder with the "
            f"environment variable BNTT_DATA, or take fewer or smaller samples."
        )


def _part_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.part")


def _free(folder: Path, plan: Plan) -> int:
    with writing(folder, plan.nbytes):
        there = next(place for place in folder.parents if place.exists())
        usage = shutil.disk_usage(there)
    return usage.free if usage.total else plan.nbytes  # some drives do not say


def _taken(part: Path) -> int:
    """Return the bytes on disk of what an earlier process has made."""
    states = [path.stat() for path in part.glob("*.npy")]
    # files have holes where nothing was written yet; Windows does not say how many
    blocks = [getattr(state, "st_blocks", None) for state in states]
    return sum(
        state.st_size if count is None else 512 * count
        for state, count in zip(states, blocks, strict=True)
    )


def _size(plan: Plan, folder: Path) -> str:
    there = f" of {_megabytes(_free(folder, plan))} free" if plan.nbytes >= BIG else ""
    return _megabytes(plan.nbytes) + there


def _megabytes(nbytes: int) -> str:
    return f"{nbytes / 1e6:,.0f} MB"


def _finish(work: "_Work", display: Display) -> None:
    """Make all chunks on threads; of those that fail the first one's error is raised."""
    pool = ThreadPoolExecutor(work.plan.threads, thread_name_prefix="bntt-cache")
    try:
        for rows in pool.map(work.finish, work.plan.chunks):
            display.advance(steps=rows)
    finally:
        pool.shutdown(cancel_futures=True)


class Full(OSError):
    """The disk that a cache is written to has no room left."""


@contextmanager
def writing(folder: Path, nbytes: int) -> Iterator[None]:
    """Say what was to be written where, and what to do, when the system says it cannot be.

    Raises:
        Full: If the block meets a full disk.
        OSError: If it raises another.
    """
    try:
        yield
    except OSError as error:
        # in our words: the system's would be taken for those of another folder
        full = disk_full(error)
        why = "the disk is full" if full else error.strerror or str(error)
        raise (Full if full else OSError)(
            f"The cache {folder} cannot be written: {why}. It takes {_megabytes(nbytes)}. "
            f"Make room, or name another folder with the environment variable BNTT_DATA."
        ) from error


def open_rows(
    path: Path, shape: tuple[int, ...], dtype: str, mode: Literal["r", "c"]
) -> np.ndarray:
    """Memory-map an array whose header and size must be as expected.

    Raises:
        ValueError: If they are not.
    """
    array = _mapped(path, mode)
    nbytes = path.stat().st_size - array.offset
    if (array.shape, array.dtype, array.nbytes) != (shape, np.dtype(dtype), nbytes):
        raise ValueError(
            f"{path.name} holds {array.dtype} {array.shape} in {nbytes} bytes, expected "
            f"{np.dtype(dtype)} {shape}"
        )
    return array


def rows_sha256(path: Path, first: int, last: int) -> str:
    """Return the SHA-256 of some rows of an array on disk."""
    return _sha256(_mapped(path, "r")[first:last])


def dates(folder: Path, plan: Plan) -> dict[str, list[int]]:
    """Return the size of each array's file and when it was last written, in nanoseconds."""
    states = {name: _file(folder, name).stat() for name in plan.arrays}
    return {name: [state.st_size, state.st_mtime_ns] for name, state in states.items()}


def json_sha256(content: dict[str, Any]) -> str:
    """Return the SHA-256 of what JSON can hold, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Write a cache's description, with a checksum of its own; never half of it."""
    with replacing(folder / META) as new:
        new.write_text(json.dumps(meta | {CHECK: json_sha256(meta)}), encoding="utf-8")


def read_meta(folder: Path) -> dict[str, Any]:
    """Return what `write_meta` wrote.

    Raises:
        ValueError: If it has changed since.
        Exception: If it is nothing of the kind.
    """
    meta = json.loads((folder / META).read_text(encoding="utf-8"))
    if meta.pop(CHECK) != json_sha256(meta):
        raise ValueError("it has changed")
    return meta


def _mapped(path: Path, mode: Literal["r", "c"]) -> np.memmap:
    try:
        return np.lib.format.open_memmap(path, mode=mode)
    except OSError:
        raise
    except Exception as error:  # of a damaged header, NumPy's parser raises anything
        raise ValueError(f"{path.name} is no whole array: {error}") from error


@dataclass
class _Work:
    """Makes chunks, on any number of threads."""

    part: Path
    plan: Plan
    fill: Fill
    finished: dict[int, dict[str, str]]
    """SHA-256 of every array's rows, by the first row of the chunk."""
    lock: Any = field(default_factory=Lock)

    def finish(self, rows: tuple[int, int]) -> int:
        """Make a chunk, unless it is on disk as journalled; return how many rows it has."""
        first, last = rows
        noted = self.finished.get(first)
        if noted is None or noted != self._on_disk(first, last):
            self._make(first, last)
        return last - first

    def sums(self) -> dict[str, list[str]]:
        """Return every array's SHA-256, chunk by chunk."""
        chunks = [self.finished[first] for first, _ in self.plan.chunks]
        return {name: [sums[name] for sums in chunks] for name in self.plan.arrays}

    def _on_disk(self, first: int, last: int) -> dict[str, str]:
        return {
            name: rows_sha256(_file(self.part, name), first, last)
            for name in self.plan.arrays
        }

    def _make(self, first: int, last: int) -> None:
        # in memory of their own rather than mapped: a full disk is then an error of
        # `write`, where a mapped page that has no room kills the process
        made = {
            name: np.zeros((last - first, *shape[1:]), dtype)
            for name, (shape, dtype) in self.plan.arrays.items()
        }
        self.fill(first, last, dict(made))
        with writing(self.part, self.plan.nbytes):
            for name, rows in made.items():
                _write_rows(_file(self.part, name), first, rows)
            self._note(first, {name: _sha256(rows) for name, rows in made.items()})

    def _note(self, first: int, sums: dict[str, str]) -> None:
        # a new line comes first, so that one cut off by a kill spoils none but itself
        line = "\n" + json.dumps({"first": first, "sha256": sums})
        with self.lock, (self.part / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(line)
            self.finished[first] = sums


def _resume(part: Path, plan: Plan) -> dict[int, dict[str, str]]:
    """Return what the journal says is finished; where none fits, start over."""
    part.mkdir(parents=True, exist_ok=True)
    start = {"chunk": plan.chunk}
    entries = _journal(part / JOURNAL)
    if entries[:1] == [start] and _laid_out(part, plan):
        return dict(_finished(entries[1:]))
    for name, (shape, dtype) in plan.arrays.items():
        np.lib.format.open_memmap(_file(part, name), "w+", np.dtype(dtype), shape)
    (part / JOURNAL).write_text(json.dumps(start), encoding="utf-8")
    return {}


def _journal(path: Path) -> list[Any]:
    entries = []
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    for line in text.splitlines():
        # being written when the process was killed, or damaged since
        with suppress(ValueError, RecursionError):
            entries.append(json.loads(line))
    return entries


def _finished(entries: list[Any]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield what is noted of every chunk; it is compared with the rows before it counts."""
    for entry in entries:
        with suppress(KeyError, TypeError):
            first, sums = entry["first"], entry["sha256"]
            if type(first) is int and type(sums) is dict:
                yield first, sums


def _laid_out(part: Path, plan: Plan) -> bool:
    try:
        for name, (shape, dtype) in plan.arrays.items():
            open_rows(_file(part, name), shape, dtype, "r")
    except (OSError, ValueError):
        return False
    return True


def _publish(part: Path, folder: Path, plan: Plan, meta: dict[str, Any]) -> None:
    """Give a finished cache its name, when all of it is on the disk and not on its way."""
    for name in plan.arrays:
        flush(_file(part, name))
    write_meta(part, meta | {"dates": dates(part, plan)})
    part.rename(folder)
    (folder / JOURNAL).unlink()


def _write_rows(path: Path, first: int, rows: np.ndarray) -> None:
    offset = np.lib.format.open_memmap(path, mode="r").offset
    with path.open("r+b") as file:
        file.seek(offset + first * (rows.nbytes // len(rows)))
        file.write(_bytes(rows))


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _sha256(rows: np.ndarray) -> str:
    return hashlib.sha256(_bytes(rows)).hexdigest()


def _bytes(rows: np.ndarray) -> memoryview:
    return rows.reshape(-1).view(np.uint8).data


def _cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
