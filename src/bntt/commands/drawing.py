"""A picture beside the answer of a command."""

from collections.abc import Callable
from pathlib import Path

from ..machine.terminal import note, one_line


def drawn(draw: Callable[[Path], None], path: Path) -> bool:
    """Draw a picture beside the answer; returns whether that went well.

    If it did not, a line says why and the program goes on: the answer stands.
    """
    try:
        draw(path)
    except (OSError, ValueError, MemoryError) as error:
        note(f"bntt: Not drawn: {one_line(error)}")
        return False
    return True
