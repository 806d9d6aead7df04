"""What a program says of an exception: one line for what the user can mend."""

import errno
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)


def is_bad_input(error: BaseException) -> bool:
    """Whether an exception is about what the user gave, rather than a defect of ours.

    Import and runtime errors count only where this package raised them, to say which extra
    is missing or which backend cannot run; from elsewhere they call for their traceback.
    """
    if isinstance(error, ValueError | OSError | FloatingPointError):
        return True
    return isinstance(error, ImportError | RuntimeError) and _raised_here(error)


def one_line(error: BaseException) -> str:
    """The message, on one line, that ends like a sentence."""
    message = str(error)
    if isinstance(error, OSError) and error.strerror:  # from the system: "[Errno 13] ..."
        message = (
            f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        )
    line = " ".join(message.split()).rstrip(".")
    return line if line.endswith(("?", "!")) else f"{line}."


class NotWritten(OSError):
    """A file or folder that could not be written: its path is ``filename``."""


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Name what the block writes in the OSError that it meets; a block that only writes.

    Raises:
        NotWritten: With the path, which the system leaves out where a disk is full.
    """
    try:
        yield
    except NotWritten:
        raise
    except OSError as error:
        number = errno.ENOSPC if _full(error) else error.errno
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
        if _full(error):
            said = f"No space is left for {where}: free some on that disk"
        elif isinstance(error, NotWritten):
            said = f"{error.strerror}: {where}. Change who may write there"
        else:
            raise
        raise NotWritten(f"{said}, or take {remedy}.") from error


def _full(error: OSError) -> bool:
    """Whether a disk is full; libraries may hide the number and leave the words."""
    return error.errno in FULL or "No space left" in str(error)


def _within(path: Path, folder: Path) -> bool:
    return folder.absolute() in (path.absolute(), *path.absolute().parents)


def _raised_here(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(__file__).parent in Path(frames[-1].filename).parents
