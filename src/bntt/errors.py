"""What a program says of an exception: one line for what the user can mend."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
LOCKED = (errno.EROFS, errno.EACCES, errno.EPERM)


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
    return " ".join(message.split()).rstrip(".") + "."


@contextmanager
def writing(folder: Path, remedy: str) -> Iterator[None]:
    """Name the folder, and what to do, where the system says only that it is full.

    Args:
        folder: Where the block writes.
        remedy: What the user can take instead.

    Raises:
        OSError: If the block meets a full disk or a place it may not write.
    """
    try:
        yield
    except OSError as error:
        # libraries may hide the number and leave the words
        if error.errno in FULL or "No space left" in str(error):
            raise OSError(
                f"No space is left for {folder}: free some on that disk, or take {remedy}."
            ) from error
        if error.errno in LOCKED:
            raise OSError(
                f"{error.strerror}: {error.filename or folder}. Change who may write, "
                f"or take {remedy}."
            ) from error
        raise


def _raised_here(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(__file__).parent in Path(frames[-1].filename).parents
