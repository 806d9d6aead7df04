"""Files that are replaced whole: after a kill or a power cut the old one or the new one."""

import contextlib
import itertools
import os
import platform
import re
import time
from pathlib import Path

from .not_written import naming

DAY = 24 * 60 * 60.0
"""Seconds after which a leftover is removed whose writer cannot be asked for."""

_HOST = re.sub(r"[^0-9A-Za-z-]", "-", platform.node()) or "host"
_ENDING = re.compile(r"\.(?P<host>[0-9A-Za-z-]+)\.(?P<process>\d+)\.\d+\.tmp\Z")
_numbers = itertools.count()
_open: set[Path] = set()


class replacing:  # noqa: N801 - reads as a statement
    """``with replacing(path) as temporary``: what is written there replaces ``path``.

    The temporary file lies in the same folder, under a name of its own for every writer,
    and is on the disk before it takes the place. What killed writers left in the folder is
    cleared away first.

    Args:
        path: The file to replace, or to make. What it links to, if it is a link, is left
            as it is.

    Raises:
        NotWritten: If the folder cannot be written or the disk is full; with the path.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> Path:
        """Return the path of the temporary file, which the block makes and fills."""
        clear_leftovers(self.path.parent)
        ending = f"{_HOST}.{os.getpid()}.{next(_numbers)}.tmp"
        # a name may have 255 bytes, and what is in front of the ending is for people only
        name = os.fsdecode(os.fsencode(self.path.name)[: 250 - len(ending)])
        self.temporary = self.path.with_name(f".{name}.{ending}")
        _open.add(self.temporary)
        return self.temporary

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Put the temporary file in place, or remove it if the block failed."""
        try:
            with naming(self.path):
                if isinstance(error, OSError):
                    raise error
                if error is None:
                    flush(self.temporary)
                    os.replace(self.temporary, self.path)
                    _flush_folder(self.path.parent)
        finally:
            # gone already, unless something failed
            self.temporary.unlink(missing_ok=True)
            _open.discard(self.temporary)


def clear_leftovers(folder: str | Path) -> None:
    """Remove the temporary files of writers that were killed; those of others stay.

    A writer on another machine cannot be asked for, so its file counts as left behind
    after a day.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.startswith(".")]
    except OSError:  # writing will say what is wrong with the folder
        return
    for name in names:
        path = Path(folder, name)
        if (ending := _ENDING.search(name)) and path not in _open and _dead(path, ending):
            with contextlib.suppress(OSError):  # another may have been quicker
                path.unlink()


def _dead(path: Path, ending: re.Match[str]) -> bool:
    """Whether the writer of a temporary file is gone."""
    process = int(ending["process"])
    if ending["host"] == _HOST:
        if process == os.getpid():
            return True  # it had this number before, since our own are known
        if os.name == "posix":
            return not _runs(process)
    try:
        return time.time() - path.stat().st_mtime > DAY
    except OSError:
        return False


def _runs(process: int) -> bool:
    """Whether there is a process of this number. On Windows, signal 0 would end it."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def flush(path: Path) -> None:
    """Wait until the file's content is on the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Wait until a new name is on the disk, where a folder can be waited for."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):  # some drives cannot; the file itself is safe
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
