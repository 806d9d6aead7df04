"""Which exceptions are the user's to mend, so that one line says enough of them."""

import traceback
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


class Stopped(Exception):  # noqa: N818 - no error: the work can go on
    """A command was stopped before it was done, and has said how it goes on."""


def is_bad_input(error: BaseException) -> bool:
    """Whether an exception is about what the user gave, rather than a defect of ours.

    Import and runtime errors count only where this package raised them, to say which extra
    is missing or which backend cannot run; from elsewhere they call for their traceback.
    """
    if isinstance(error, ValueError | OSError | FloatingPointError):
        return True
    return isinstance(error, ImportError | RuntimeError) and _raised_here(error)


def _raised_here(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and PACKAGE in Path(frames[-1].filename).parents
