"""A folder of the user's own images: one folder per class, with or without a test set."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .cache import cached, fingerprint, folder_of
from .dataset import Dataset, Wanted
from .decode import DECODER, cached_images, mean_and_deviation
from .geometry import of_squares
from .layout import folders, natural
from .picture import header
from .places import what_is_there
from .splits import Split, refuse_split, split

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
TESTS = ("test", "val")
"""Folders of test images beside ``train``, the first choice first."""
SPLIT = "random-90-10"
CHUNK = 256
"""Files whose headers a thread reads at a time."""


def load_imagefolder(root: Path | None, wanted: Wanted) -> Dataset:
    """Load images of the user's own; see `bntt.data.load`.

    The classes are folders, in natural order: ``train/CLASS/*`` and ``test/CLASS/*`` (or
    ``val/CLASS/*``), or ``CLASS/*`` alone, which ``split="random-90-10"`` divides. The
    images have three channels, unless all of them are grey. They are scaled to
    ``image_size``, which may be left out if all have one size.
    """
    place = _classes_in(root)
    test = _test_folder(place)
    if not test:
        found = _listed(place, "")
        return _loaded(place, [found], _divided(place, found, wanted), wanted)
    refuse_split(f"the folder {place}, with {test} in it,", wanted.split)
    parts = [_listed(place, "train"), _listed(place, test)]
    _check_same_classes(place, parts, test)
    parts[0].skipped.extend(_others(place, "", ("train", test)))
    return _loaded(place, parts, None, wanted)


@dataclass(frozen=True)
class _Part:
    """The images under ``train``, ``test`` or the root, class by class."""

    class_names: tuple[str, ...]
    files: dict[str, os.stat_result]
    """By name relative to the root, in natural order."""
    labels: list[int]
    skipped: list[str]
    """Names, relative to the root, of what is no image."""


def _classes_in(root: Path | None) -> Path:
    if root is None:
        raise ValueError(
            "imagefolder is a folder of your own images: name it with --data DIR. It holds "
            "train/CLASS/*.png and test/CLASS/*.png, or CLASS/*.png."
        )
    if not root.is_dir() or not folders(root):
        raise FileNotFoundError(
            f"No classes in {root}: looked for folders of images, train/CLASS and "
            f"test/CLASS or just CLASS; {what_is_there(root)}. Name the folder that holds "
            f"them with --data DIR."
        )
    return root


def _test_folder(place: Path) -> str:
    """Return the name of the test images' folder, empty if the classes lie in `place`."""
    there = folders(place)
    if "train" not in there or not folders(place / "train"):
        return ""
    for name in TESTS:
        if name in there:
            return name
    raise FileNotFoundError(
        f"{place} holds train but neither test nor val, to test on. Add one of them with "
        f"the same classes in it, or name {place / 'train'} and set split={SPLIT!r}."
    )


def _listed(place: Path, under: str) -> _Part:
    class_names = tuple(folders(place / under))
    if len(class_names) < 2:
        raise ValueError(
            f"{place / under} must hold at least two classes, each a folder of images, but "
            f"{what_is_there(place / under)}."
        )
    part = _Part(class_names, {}, [], _others(place, under, class_names))
    for label, name in enumerate(class_names):
        images = dict(_images(place, f"{under}/{name}".lstrip("/"), part.skipped))
        if not images:
            raise ValueError(
                f"{place / under / name} holds no images ({', '.join(ENDINGS)}): "
                f"{what_is_there(place / under / name)}. A class must have some; add them, "
                f"or take the folder out."
            )
        part.files.update(images)
        part.labels.extend([label] * len(images))
    return part


def _others(place: Path, under: str, known: tuple[str, ...]) -> list[str]:
    names = {path.name for path in (place / under).iterdir()} - set(known)
    return [f"{under}/{name}".lstrip("/") for name in sorted(names)]


def _images(
    place: Path, folder: str, skipped: list[str]
) -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(place / folder) as entries:
        for entry in sorted(entries, key=lambda entry: natural(entry.name)):
            name = f"{folder}/{entry.name}"
            hidden = entry.name.startswith(".")
            if hidden or not entry.name.lower().endswith(ENDINGS) or not entry.is_file():
                skipped.append(name)
            else:
                yield name, entry.stat()


def _divided(place: Path, found: _Part, wanted: Wanted) -> Split:
    if wanted.split != SPLIT:
        raise ValueError(
            f"{place} has no test set (its folders are classes, not train and test), so "
            f"that `split` must be {SPLIT!r}, got {wanted.split!r}."
        )
    return split(SPLIT, np.array(found.labels), wanted.split_seed, tuple(found.files))


def _check_same_classes(place: Path, parts: list[_Part], test: str) -> None:
    train_names, test_names = (set(part.class_names) for part in parts)
    for name in sorted(train_names ^ test_names):
        has, lacks = ("train", test) if name in train_names else (test, "train")
        raise ValueError(
            f"{place / lacks} lacks the class {name!r}, which is in {has}. Both must have "
            f"the same folders."
        )


def _loaded(
    place: Path, parts: list[_Part], divided: Split | None, wanted: Wanted
) -> Dataset:
    names = [name for part in parts for name in part.files]
    rows, train = _rows(parts, divided)
    key = _key(parts)
    shape = _shape(place, names, key, wanted)
    source = divided.source if divided else {}
    images, sums = cached_images(
        "imagefolder",
        place,
        [names[row] for row in rows],
        key | {"split": source},
        shape,
        size=wanted.image_size,
        what="Own images",
        quiet=wanted.quiet,
    )
    labels = np.array([label for part in parts for label in part.labels], dtype=np.int64)
    labels = torch.from_numpy(labels[rows])
    mean, std, same = mean_and_deviation(sums[:train], shape[1] * shape[2])
    return Dataset(
        name="imagefolder",
        train_images=images[:train],
        train_labels=labels[:train],
        test_images=images[train:],
        test_labels=labels[train:],
        class_names=parts[0].class_names,
        mean=mean,
        std=std,
        source={"imagefolder files": key["files"], **source},
        note=" ".join(filter(None, (_note(parts, divided), same))),
        split_sha256=divided.sha256 if divided else "",
        cache=folder_of(sums),
        geometry=of_squares(shape),
    )


def _rows(parts: list[_Part], divided: Split | None) -> tuple[np.ndarray, int]:
    """Return which image is in which row, and how many rows train."""
    if divided:
        return np.concatenate([divided.train, divided.test]), len(divided.train)
    return np.arange(sum(len(part.labels) for part in parts)), len(parts[0].labels)


def _key(parts: list[_Part]) -> dict[str, Any]:
    stats = {name: stat for part in parts for name, stat in part.files.items()}
    return {
        "files": fingerprint((name, stat.st_size) for name, stat in stats.items()),
        # one's own files change, and a bitmap that is edited keeps its size
        "changed": max(stat.st_mtime_ns for stat in stats.values()),
    }


def _shape(
    place: Path, names: list[str], key: dict[str, Any], wanted: Wanted
) -> tuple[int, int, int]:
    """Return channels, height and width that all images have or are scaled to."""

    def fill(first: int, last: int, views: dict[str, np.ndarray]) -> None:
        for row, name in enumerate(names[first:last]):
            height, width, grey = header(place / name)
            views["sides"][row] = height, width
            views["grey"][row] = grey

    headers = cached(
        "imagefolder-headers",
        key | {"decoder": DECODER},
        {"sides": ((len(names), 2), "int32"), "grey": ((len(names),), "bool")},
        fill,
        chunk=CHUNK,
        what="Headers of own images",
        quiet=wanted.quiet,
    )
    channels, sides = 1 if headers["grey"].all() else 3, headers["sides"]
    if wanted.image_size:
        return channels, wanted.image_size, wanted.image_size
    other = (sides != sides[0]).any(axis=1)
    if other.any():
        row = int(other.argmax())
        raise ValueError(
            f"The images differ in size: {names[0]} is {sides[0, 1]} pixels wide and "
            f"{sides[0, 0]} high, {names[row]} {sides[row, 1]} and {sides[row, 0]}. Set "
            f"image_size, to which all are scaled and cropped."
        )
    return channels, int(sides[0, 0]), int(sides[0, 1])


def _note(parts: list[_Part], divided: Split | None) -> str:
    skipped = [name for part in parts for name in part.skipped]
    notes = [divided.note] if divided else []
    if skipped:
        notes.append(
            f"Not read: {len(skipped)} that are hidden or no images, such as {skipped[0]}."
        )
    return " ".join(notes)
