"""Printing on stdout and stderr, the two streams that people read.

What cannot be shown is escaped, tables are cut for nobody, and a progress line that cannot
be written ends no work. Everything that the program prints goes through here.
"""

import io
import os
import sys
import unicodedata
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.table import Table

CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
"""Categories that move the cursor, break a line or stand for a byte that is no text."""
TURNED = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What turns the order of letters round, so that a name reads as another."""
WIDE = 10_000
"""Columns where nobody's screen ends a line."""


class Unheard(OSError):
    """The answer cannot be written; what was to be done is done."""


def prepare() -> None:
    """Make both streams safe to write to. A program calls this before anything else.

    A letter that the terminal's encoding lacks is escaped. A stream that was closed before
    the program began leads nowhere; its number is taken, since else the next file opened
    would get it, and with it whatever a library prints.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def shown(text: str) -> str:
    r"""The text with control characters, and bytes that are no text, as escapes.

    Example:
        >>> print(shown("a\x1b[31m\nb"))
        a\x1b[31m\nb
    """
    if text.isprintable():
        return text
    return "".join(_escaped(letter) for letter in text)


def one_line(error: BaseException) -> str:
    """The message of an exception on one line, ending as a sentence does."""
    message = str(error)
    if isinstance(error, OSError) and error.strerror:  # from the system: "[Errno 13] ..."
        message = (
            f"{error.strerror}: {error.filename}" if error.filename else error.strerror
        )
    line = " ".join(message.split()).rstrip(".")
    return line if line.endswith(("?", "!")) else f"{line}."


def out(line: str) -> None:
    """Print one line of the answer.

    Raises:
        BrokenPipeError: If nobody reads on.
        Unheard: If it cannot be written, as to a full disk.
    """
    try:
        print(shown(line))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unheard(f"The answer cannot be printed: {error.strerror}.") from error


def note(line: str) -> None:
    """Print one line beside the answer, on stderr; if that fails it is lost."""
    with suppress(OSError, ValueError):
        print(shown(line), file=sys.stderr)


def table(made: Table) -> None:
    """Print a table: folded to a terminal's width, and elsewhere as wide as it is."""
    page = io.StringIO()
    width = None if sys.stdout.isatty() else WIDE
    Console(file=page, width=width, color_system=None).print(made)
    for line in page.getvalue().splitlines():
        out(line.rstrip())


class Beside(Console):
    """The console on stderr for progress: it fails nobody, and the cursor stays.

    Args:
        quiet: Whether to show nothing at all.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        stream: Any = _Unfailing(sys.stderr)
        super().__init__(file=stream, quiet=quiet, markup=False, highlight=False)

    def show_cursor(self, show: bool = True) -> bool:
        """Leave it: a process that is killed could not bring it back."""
        return False


def finish() -> bool:
    """Write what still waits in both streams; returns whether the answer was written.

    A stream that cannot be written is led nowhere, since Python would try once more when
    it ends and then change the exit code.
    """
    went_well = True
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            if stream is sys.stdout:
                went_well = False
                if not isinstance(error, BrokenPipeError):  # nobody reads on
                    said = getattr(error, "strerror", None) or error
                    note(f"bntt: The answer cannot be printed: {said}.")
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return went_well


class _Unfailing:
    """A stream that drops what it cannot write."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _escaped(letter: str) -> str:
    if unicodedata.category(letter) in CONTROLS or letter in TURNED:
        return letter.encode("unicode_escape", "backslashreplace").decode("ascii")
    return letter
