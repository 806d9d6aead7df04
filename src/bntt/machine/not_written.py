"""What is said where a file cannot be written: on a full disk, or where nobody may."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NotWritten(OSError):
    """A file or folder could not be written.

    ``filename`` is its path, unless the message itself names it.
    """


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Add the path to an OSError of a block that does nothing but write there.

    Args:
        path: What the block writes.

    Raises:
        NotWritten: With the path, which the system leaves out where a disk is full.
    """
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        number = errno.ENOSPC if disk_full(error) else error.errno
        raise NotWritten(number, error.strerror or str(error), str(path)) from error


@contextmanager
def writing(target: Path, remedy: str) -> Iterator[None]:
    """Say what to do if the target, or a file in it, cannot be written.

    What the block reads, and what it writes elsewhere under a name, is left as it is.

    Args:
        target: Where the block writes its result.
        remedy: What the user can take instead.

    Raises:
        NotWritten: If the block may not write to the target, or its disk is full.
    """
    try:
        yield
    except OSError as error:
        named = isinstance(error.filename, str | bytes)  # a descriptor's number is no name
        where = Path(os.fsdecode(error.filename)) if named else target
        if not _within(where, target):
            raise
        if disk_full(error):
            said = f"No space is left for {where}: free some on that disk"
        elif isinstance(error, NotWritten):
            said = f"{error.strerror}: {where}. Change who may write there"
        else:
            raise
        raise NotWritten(f"{said}, or take {remedy}.") from error


def disk_full(error: OSError) -> bool:
    """Whether a disk, or one's share of it, is full.

    Libraries may hide the system's number and leave the words.
    """
    full = (errno.ENOSPC, errno.EDQUOT)
    return error.errno in full or "No space left" in str(error)


def _within(path: Path, folder: Path) -> bool:
    return folder.absolute() in (path.absolute(), *path.absolute().parents)
