"""Stopping a program: between two steps when asked once, at once when asked twice."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that ask a program to end: Ctrl-C, the system, a closed terminal.

Windows lacks the last.
"""


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Collect requests to stop, so that no step is left half done.

    The first request is only noted: look for it between two steps. The second one raises
    KeyboardInterrupt, so that everything is put away; the third one ends the program
    wherever it is.

    Yields:
        The numbers of the signals that came, empty as long as nobody asked.
    """
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        asked.append(number)
        if len(asked) > 1:
            signal.signal(number, signal.SIG_DFL)
            raise KeyboardInterrupt

    with _answering(ask, NAMES):
        yield asked


@contextmanager
def unwinding(names: Sequence[str] = NAMES) -> Iterator[None]:
    """Let signals that end a program do it as Ctrl-C does in Python: all is put away.

    A second signal of a kind ends the program at once, and so does the first in the middle
    of an import: there is nothing to put away, and what is raised there may be lost.

    Args:
        names: Of the signals.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if _imports(frame):
            signal.raise_signal(number)
        raise KeyboardInterrupt

    with _answering(interrupt, names):
        yield


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being imported where a signal came in."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def _answering(handler: Callable[[int, Any], None], names: Sequence[str]) -> Iterator[None]:
    """Answer the signals with `handler`, but for those that the program was told to ignore.

    A program under ``nohup`` ignores a closed terminal, and goes on.
    """
    before = {}
    try:
        for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    except ValueError:  # only the main thread of a program is told
        pass
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
