"""Find a set's folder and the recordings in it."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from .cache import cache_folder
from .places import what_is_there


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
    place = cache_folder() if root is None else root
    if place.is_dir() and holds(place):
        return place
    inside = [place / folder for folder in folders(place)] if place.is_dir() else []
    found = [folder for folder in inside if holds(folder)]
    if len(found) == 1:
        return found[0]
    if found:
        raise FileNotFoundError(
            f"{title} is in {place} more than once: {', '.join(p.name for p in found)}. "
            f"Name one of these folders with --data DIR."
        )
    raise FileNotFoundError(
        f"No {title} in {place}: looked for {looked_for}, there and in the folders in it; "
        f"{what_is_there(place)}. Name the folder that holds it with --data DIR; `bntt "
        f"data {name}` says where it is published."
    )


def folders(root: Path) -> list[str]:
    """Return the names of the folders in `root`, in natural order, hidden ones aside."""
    with os.scandir(root) as entries:
        names = [entry.name for entry in entries if entry.is_dir()]
    return sorted((name for name in names if not name.startswith(".")), key=natural)


def recordings(root: Path, folder: str, endings: tuple[str, ...]) -> dict[str, int]:
    """Return the size in bytes of every recording in a folder.

    Args:
        root: The set's folder.
        folder: The recordings' own, relative to `root`.
        endings: What their names may end in, in lower case; hidden files are none.

    Returns:
        Sizes by name relative to `root`, in natural order; empty if there is no folder.
    """
    if not (root / folder).is_dir():
        return {}
    with os.scandir(root / folder) as entries:
        sizes = {
            entry.name: entry.stat().st_size
            for entry in entries
            if entry.name.lower().endswith(endings) and not entry.name.startswith(".")
        }
    return {f"{folder}/{name}": sizes[name] for name in sorted(sizes, key=natural)}


def natural(name: str) -> tuple[list[str | int], str]:
    """Return a key that sorts numbers in names as numbers: ``a_2`` before ``a_10``."""
    parts = re.split(r"(\d+)", name)
    return [int(p) if k % 2 else p for k, p in enumerate(parts)], name
