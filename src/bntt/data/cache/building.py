"""Build a cache: chunks on threads, each written when it is made, then journalled."""

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ...machine.files import flush
from ...machine.progress import Display
from .arrays import (
    dates,
    file_of,
    open_rows,
    rows_sha256,
    sha256_of,
    write_meta,
    write_rows,
)
from .plan import Plan
from .room import Full, part_of, size_in_words, writing

JOURNAL = "journal.jsonl"
"""Name of the list of the chunks that are finished."""

Fill = Callable[[int, int, dict[str, np.ndarray]], None]
"""Called as ``fill(first, last, arrays)``: writes the rows from ``first`` up to, and
without, ``last`` into arrays that hold just these rows."""


def build(
    folder: Path, plan: Plan, meta: dict[str, Any], fill: Fill, what: str, quiet: bool
) -> None:
    """Make the arrays of `plan` and let `folder` appear when they are whole.

    Raises:
        OSError: If the disk is full or may not be written to.
        Exception: Whatever `fill` raises, of the first chunk of those that fail.
    """
    part = part_of(folder)
    try:
        with Display(what, plan.rows, quiet=quiet) as display:
            display.say(f"{what}: {size_in_words(plan, folder)}, kept in {folder.parent}")
            with writing(part, plan.nbytes):
                work = _Work(part, plan, fill, _resume(part, plan))
            _finish(work, display)
    except (ValueError, Full):  # of no use any more, or in everyone's way
        shutil.rmtree(part, ignore_errors=True)
        raise
    with writing(part, plan.nbytes):
        _publish(part, folder, plan, meta | {"sha256": work.sums()})


def _finish(work: "_Work", display: Display) -> None:
    """Make all chunks on threads; of those that fail the first one's error is raised."""
    pool = ThreadPoolExecutor(work.plan.threads, thread_name_prefix="bntt-cache")
    try:
        for rows in pool.map(work.finish, work.plan.chunks):
            display.advance(steps=rows)
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass
class _Work:
    """Makes chunks, on any number of threads."""

    part: Path
    plan: Plan
    fill: Fill
    finished: dict[int, dict[str, str]]
    """The chunks that are made: by the first row of each, the SHA-256 of every array's
    rows."""
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
            name: rows_sha256(file_of(self.part, name), first, last)
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
                write_rows(file_of(self.part, name), first, rows)
            self._note(first, {name: sha256_of(rows) for name, rows in made.items()})

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
        np.lib.format.open_memmap(file_of(part, name), "w+", np.dtype(dtype), shape)
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
            open_rows(file_of(part, name), shape, dtype, "r")
    except (OSError, ValueError):
        return False
    return True


def _publish(part: Path, folder: Path, plan: Plan, meta: dict[str, Any]) -> None:
    """Give a finished cache its name, when all of it is on the disk and not on its way."""
    for name in plan.arrays:
        flush(file_of(part, name))
    write_meta(part, meta | {"dates": dates(part, plan)})
    part.rename(folder)
    (folder / JOURNAL).unlink()
