"""Room on the disk for a cache: asked for before it is built, and said when it ends."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...machine.not_written import disk_full
from .plan import Plan

BIG = 4 << 30
"""Bytes of a cache from which on it is announced with the room that there is for it."""


def check_room(folder: Path, plan: Plan) -> None:
    """Refuse a cache that the disk cannot hold, before anything is written.

    Raises:
        OSError: If it cannot.
    """
    free = free_bytes(folder, plan)
    needed = plan.nbytes - taken(part_of(folder))
    if needed > free:
        raise OSError(
            f"The cache {folder} would take {megabytes(plan.nbytes)}, but only "
            f"{megabytes(free)} are free there. Make room, name another folder with the "
            f"environment variable BNTT_DATA, or take fewer or smaller samples."
        )


def part_of(folder: Path) -> Path:
    """Return the folder in which a cache is built before it gets its name."""
    return folder.with_name(f"{folder.name}.part")


def free_bytes(folder: Path, plan: Plan) -> int:
    """Return the bytes that are free where a cache is to lie.

    Raises:
        OSError: If the disk cannot be asked.
    """
    with writing(folder, plan.nbytes):
        there = next(parent for parent in folder.parents if parent.exists())
        usage = shutil.disk_usage(there)
    return usage.free if usage.total else plan.nbytes  # some drives do not say


def taken(part: Path) -> int:
    """Return the bytes on disk of what an earlier process has made."""
    states = [path.stat() for path in part.glob("*.npy")]
    # files have holes where nothing was written yet; Windows does not say how many
    blocks = [getattr(state, "st_blocks", None) for state in states]
    return sum(
        state.st_size if count is None else 512 * count
        for state, count in zip(states, blocks, strict=True)
    )


def size_in_words(plan: Plan, folder: Path) -> str:
    """Say how large a cache will be and, if it is large, how much room there is."""
    there = f" of {megabytes(free_bytes(folder, plan))} free" if plan.nbytes >= BIG else ""
    return megabytes(plan.nbytes) + there


def megabytes(nbytes: int) -> str:
    """Write a number of bytes in millions."""
    return f"{nbytes / 1e6:,.0f} MB"


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
            f"The cache {folder} cannot be written: {why}. It takes {megabytes(nbytes)}. "
            f"Make room, or name another folder with the environment variable BNTT_DATA."
        ) from error
