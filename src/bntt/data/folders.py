"""Find a set's folder."""

from collections.abc import Callable
from pathlib import Path

from .cache import cache_folder
from .places import what_is_there
from .tree import folders


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
