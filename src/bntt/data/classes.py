"""Folders that are classes, and the files in each."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .tree import Found, Stamp, beside, folders, left_out, scan

PARTS = {"train", "training", "test", "testing", "val", "valid", "validation", "eval"}
"""Names, in small letters, of folders that hold a part of a set. A folder in which all
folders are called so does not hold classes."""


@dataclass(frozen=True, eq=False)
class ClassFolders:
    """The files of every class, under one folder."""

    found: dict[str, Found] = field(default_factory=dict)
    """The files of each class by its name, whose accents are composed letters (NFC) however
    the system writes them."""
    others: Found = field(default_factory=Found)
    """What lies beside the folders of the classes, and is not read."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in natural order; a label is an index into them."""
        return tuple(self.found)

    @property
    def files(self) -> dict[str, Stamp]:
        """All files of all classes, class by class."""
        return {
            name: stamp for one in self.found.values() for name, stamp in one.files.items()
        }

    @property
    def labels(self) -> list[int]:
        """The label of each of `files`, in the same order."""
        return [label for label, one in enumerate(self.found.values()) for _ in one.files]


def class_folders(folder: Path, under: str, endings: tuple[str, ...]) -> ClassFolders:
    """Return the classes in a folder; the files in folders within one are the class's too.

    Args:
        folder: Of the set.
        under: Where the classes' folders lie in it, such as ``"train"``; may be empty.
        endings: What names of files may end in, in lower case.

    Raises:
        ValueError: If two folders have the same name but for how its accents are written,
            or all are called like parts of a set.
    """
    parent = folder / under
    own = folders(parent)
    if own and all(name.casefold() in PARTS for name in own):
        raise ValueError(
            f"The folders in {parent} are called {' and '.join(own)}, like parts of a set "
            f"and not like classes. Parts are found as train and test (or val) in small "
            f"letters; each holds the folders of the classes."
        )
    found: dict[str, Found] = {}
    for name in own:
        class_name = unicodedata.normalize("NFC", name)
        if class_name in found:
            raise ValueError(
                f"{parent} has two folders that are called {class_name!r}, with the "
                f"accents written in different ways. Put their files into one."
            )
        found[class_name] = scan(folder, f"{under}/{name}".lstrip("/"), endings, deep=True)
    return ClassFolders(found, beside(folder, under, own))


def notes_on(parts: Sequence[ClassFolders], around: Found) -> list[str]:
    """Return what a reader must be told of the files: those further down, and others.

    Args:
        parts: Training and test part, or one that is to be divided.
        around: What lies beside these parts.
    """
    found = [one for part in parts for one in (part.others, *part.found.values())]
    further = [
        name
        for part in parts
        for one in part.found.values()
        for name in one.files
        if name.count("/") > 1 + (len(parts) > 1)
    ]
    deep = [
        f"{len(further)} of the files lie in folders within those of the classes, such as "
        f"{first}."
        for first in further[:1]
    ]
    return [*deep, *left_out([around, *found])]
