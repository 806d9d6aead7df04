"""What a cache is to hold, and how much of it is made at a time."""

import math
import os
from dataclasses import dataclass

import numpy as np

AT_WORK = 1 << 30
"""Bytes that all threads together may take; a single one takes what it needs."""


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
        return max(1, min(cores(), AT_WORK // max(1, rows + self.at_work)))

    @property
    def chunks(self) -> list[tuple[int, int]]:
        """First and last + 1 row of every chunk."""
        firsts = range(0, self.rows, self.chunk)
        return [(first, min(first + self.chunk, self.rows)) for first in firsts]


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
