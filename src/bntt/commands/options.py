"""How words of the command line are read."""

from contextlib import suppress
from pathlib import Path


def expanded(word: str | Path) -> Path:
    """A path; ``~`` is home where the shell leaves it, too, as in ``--out=~/x``."""
    path = Path(word)
    with suppress(RuntimeError):  # ~somebody who has no home here
        path = path.expanduser()
    return path
