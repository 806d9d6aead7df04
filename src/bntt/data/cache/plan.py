"""What a cache is to hold, and how much of it is made at a time."""

import math
import os
from dataclasses import dataclass

import numpy as np

AT_WORK = 1 << 30
"""Bytes of memory that all threads together may take; a single one takes what it needs."""


@dataclass(frozen=True)
class Plan:
    """What a cache holds: arrays of one row per sample.

    Raises:
        ValueError: If the arrays do not have one number of rows, or have none.
    """

    arrays: dict[str, tuple[tuple[int, ...], str]]
    """Shape and dtype of each array, by its name."""
    chunk: int
    """Number of rows that one thread makes at a time."""
    at_work: int = 0
    """Bytes of memory that a thread takes for a chunk beside the rows themselves."""

    def __post_init__(self) -> None:
        counts = {shape[0] for shape, _ in self.arrays.values()}
        if len(counts) != 1 or self.rows < 1 or self.chunk < 1:
            raise ValueError(
                f"The arrays of a cache must have one number of rows, at least 1, made at "
                f"least 1 at a time; got {self.arrays} and {self.chunk} at a time."
            )

    @property
    def rows(self) -> int:
        """The number of samples: the length of every array's first axis."""
        return next(iter(self.arrays.values()))[0][0]

    @property
    def nbytes(self) -> int:
        """The size of all arrays together, in bytes."""
        # in Python's numbers, which do not overflow
        return sum(
            math.prod(map(int, shape)) * np.dtype(dtype).itemsize
            for shape, dtype in self.arrays.values()
        )

    @property
    def threads(self) -> int:
        """The number of threads: one a core, or as many as may have a chunk in memory."""
        rows = self.nbytes // self.rows * min(self.chunk, self.rows)
        return max(1, min(cores(), AT_WORK // max(1, rows + self.at_work)))

    @property
    def chunks(self) -> list[tuple[int, int]]:
        """Of every chunk the first row, and the row after its last."""
        firsts = range(0, self.rows, self.chunk)
        return [(first, min(first + self.chunk, self.rows)) for first in firsts]


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
