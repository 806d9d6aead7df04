"""What a folder that should hold a set really holds, in words."""

from pathlib import Path

SHOWN = 8


def what_is_there(root: Path) -> str:
    """Return half a sentence: the first names in a folder, or that there is none."""
    if not root.exists():
        return "there is no such folder"
    if not root.is_dir():
        return "it is a file"
    names = sorted(path.name for path in root.iterdir())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"it holds {', '.join(names[:SHOWN])}{more}" if names else "it is empty"
