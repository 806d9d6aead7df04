"""What lies where the user said: a set's folder, found; or a file, fit to be read."""

from collections.abc import Callable
from pathlib import Path

from .cache import cache_folder
from .tree import folders

SHOWN = 8
"""Names that are listed of what lies in a folder."""
NO_FILE = "{} is a pipe, a socket or a device"
"""Said of what would be waited for without an end, or read without one."""


def find(
    root: Path | None, name: str, title: str, looked_for: str, holds: Callable[[Path], bool]
) -> Path:
    """Return the folder that `holds` the set: `root` itself, or the one folder in it.

    Args:
        root: Where to look; if omitted, the cache.
        name: The set's name in ``bntt.data.NAMES``.
        title: The set's name in prose.
        looked_for: What `holds` looks for, in words.
        holds: Whether a folder is the one.

    Raises:
        FileNotFoundError: If none is, or more than one folder in `root`.
    """
    folder = cache_folder() if root is None else root
    if folder.is_dir() and holds(folder):
        return folder
    inside = [folder / one for one in folders(folder)] if folder.is_dir() else []
    found = [one for one in inside if holds(one)]
    if len(found) == 1:
        return found[0]
    if found:
        raise FileNotFoundError(
            f"{title} is in {folder} more than once: {', '.join(p.name for p in found)}. "
            f"Name one of these folders with --data DIR."
        )
    raise FileNotFoundError(
        f"No {title} in {folder}: looked for {looked_for}, there and in the folders in it; "
        f"{what_is_there(folder)}. Name the folder that holds it with --data DIR; `bntt "
        f"data {name}` says where it is published."
    )


def what_is_there(path: Path) -> str:
    """Return half a sentence: the first names in a folder, or that there is none."""
    if not path.exists():
        return "there is no such folder"
    if not path.is_dir():
        return "it is a file" if path.is_file() else NO_FILE.format("it")
    names = sorted(inner.name for inner in path.iterdir())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"it holds {', '.join(names[:SHOWN])}{more}" if names else "it is empty"


def check_file(path: Path, kind: str, advice: str) -> None:
    """Refuse a path that is no file.

    Args:
        path: As the user named it.
        kind: What it should be, such as "a picture".
        advice: What to name instead: a whole sentence.

    Raises:
        FileNotFoundError: If there is no file.
        ValueError: If there is something that never ends, such as a pipe.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{NO_FILE.format(path)}, not {kind}. {advice}")
    if not path.is_file():
        what = f"is a folder, not {kind}" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path} {what}. {advice}")


def read_bounded(path: Path, most: int, kind: str) -> bytes:
    """Return the bytes of a file, of which there is a largest that can be honest.

    Args:
        path: The file.
        most: Bytes that it may have.
        kind: What it should be, such as "picture".

    Raises:
        ValueError: If it has more.
        OSError: If it cannot be read.
    """
    size = path.stat().st_size
    if size > most:
        raise ValueError(
            f"{path} has {size} bytes, more than the {most} of the largest {kind} that is "
            f"read. Damaged, or something else?"
        )
    with path.open("rb", buffering=0) as file:  # fewer system calls than read_bytes
        return file.read()
