"""Which files are in a folder. None is opened, and what is left out is told by its kind."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

HIDDEN = "hidden"
OTHER = "other endings"
LOOSE = "links to nothing"
SPECIAL = "neither files nor folders, but pipes, sockets or devices"
FOLDER = "folders"
BESIDE = "files beside the folders"
CIRCLE = "links to a folder that they are in"


class Stamp(NamedTuple):
    """What a file is known again by without being read; of a link, that of its target."""

    size: int
    """Size in bytes."""
    changed_ns: int
    """When it was last written, in nanoseconds."""
    real_path: str = ""
    """Where it really lies, links followed."""


@dataclass(frozen=True, eq=False)
class Found:
    """What is in a folder: the files that were looked for, and what else there is."""

    files: dict[str, Stamp] = field(default_factory=dict)
    """The files by their paths relative to the set's folder, with forward slashes, in
    natural order."""
    skipped: dict[str, list[str]] = field(default_factory=dict)
    """Names of what is left out, by what it is."""

    def skip(self, why: str, name: str) -> None:
        """Note something that is left out."""
        self.skipped.setdefault(why, []).append(name)


def scan(
    folder: Path, under: str, endings: tuple[str, ...], *, deep: bool = False
) -> Found:
    """Return the regular files in a folder; nothing is opened, whatever else is there.

    Args:
        folder: The set's folder.
        under: The files' own, relative to `folder`.
        endings: What their names may end in, in lower case; hidden files are none.
        deep: Whether those in the folders within are files of this one too.

    Returns:
        Nothing at all if there is no such folder.

    Raises:
        OSError: If a folder may not be read.
    """
    found = Found()
    if (folder / under).is_dir():
        above = (os.path.realpath(folder),)
        found.files.update(_walk(folder, under, endings, deep, found, above))
    return found


def _walk(
    folder: Path,
    under: str,
    endings: tuple[str, ...],
    deep: bool,
    found: Found,
    above: tuple[str, ...],
) -> Iterator[tuple[str, Stamp]]:
    real = os.path.realpath(folder / under)
    if any(_lies_in(one, real) for one in above):
        return found.skip(CIRCLE, under)
    with os.scandir(folder / under) as entries:
        for entry in sorted(entries, key=lambda entry: natural(entry.name)):
            name = f"{under}/{entry.name}"
            why = _left_out(entry, endings)
            if why == FOLDER and deep:
                yield from _walk(folder, name, endings, deep, found, (*above, real))
            elif why:
                found.skip(why, name)
            else:
                yield name, _stamp(entry, real)


def _lies_in(folder: str, other: str) -> bool:
    """Whether a folder is another one, or within it; both as they really lie."""
    return folder == other or folder.startswith(other.rstrip(os.sep) + os.sep)


def _left_out(entry: os.DirEntry[str], endings: tuple[str, ...]) -> str:
    """Return what an entry is, if it is none of the files that are looked for."""
    if entry.name.startswith("."):
        return HIDDEN
    try:
        if entry.is_dir():
            return FOLDER
        if not entry.is_file():
            # not asked of a link to nothing: that it is a link is known without it
            return LOOSE if entry.is_symlink() and not os.path.exists(entry) else SPECIAL
    except OSError:  # links that lead round in a circle
        return LOOSE
    return "" if entry.name.lower().endswith(endings) else OTHER


def stamp(folder: Path, name: str) -> Stamp:
    """Return the stamp of a file that is known to be there.

    Raises:
        OSError: If it is not.
    """
    path = (folder / name).resolve()
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns, str(path))


def _stamp(entry: os.DirEntry[str], real: str) -> Stamp:
    status = entry.stat()
    # where a link leads is read, not followed through every folder: that takes long
    target = os.readlink(entry.path) if entry.is_symlink() else entry.name
    return Stamp(status.st_size, status.st_mtime_ns, f"{real}/{target}")


def folders(folder: Path) -> list[str]:
    """Return the names of the folders in `folder`, in natural order, hidden ones aside."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if _left_out(entry, ()) == FOLDER]
    return sorted(names, key=natural)


def natural(name: str) -> tuple[list[str | int], str]:
    """Return a key that sorts numbers in names as numbers: ``a_2`` before ``a_10``.

    Names that read alike sort alike, however their letters with accents are written.
    """
    parts = re.split(r"(\d+)", unicodedata.normalize("NFC", name))
    return [int(p) if k % 2 else p for k, p in enumerate(parts)], name


def beside(folder: Path, under: str, known: Sequence[str]) -> Found:
    """Return, as left out, what is in a folder beside the folders that are known."""
    found = Found()
    with os.scandir(folder / under) as entries:
        for entry in sorted(entries, key=lambda entry: natural(entry.name)):
            if entry.name not in known:
                why = _left_out(entry, ("",)) or BESIDE
                found.skip(why, f"{under}/{entry.name}".lstrip("/"))
    return found


def left_out(found: Iterable[Found]) -> list[str]:
    """Return a sentence on what was left out of folders; none if nothing was."""
    all_skipped: dict[str, list[str]] = {}
    for one in found:
        for why, names in one.skipped.items():
            all_skipped.setdefault(why, []).extend(names)
    kinds = [
        f"{why}: {len(names)}, such as {names[0]}" for why, names in all_skipped.items()
    ]
    return [f"Not read: {'; '.join(sorted(kinds))}."] if kinds else []
