"""Tiny-ImageNet from its official folder: 200 classes, JPEG files of 64x64 pixels."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from .cache import cache_folder, fingerprint, folder_of
from .dataset import Dataset, Wanted
from .decode import cached_images, mean_and_deviation
from .geometry import Geometry
from .layout import find, folders
from .splits import refuse_split

TITLE = "Tiny-ImageNet"
ARCHIVE = "tiny-imagenet-200.zip"
CLASSES = 200
SIDE = 64
TRAIN = 100_000
TEST = 10_000
WNIDS = "wnids.txt"
ANNOTATIONS = "val/val_annotations.txt"
VAL = "val/images"
ENDING = ".jpeg"

Labelled = dict[str, tuple[int, int]]
"""Label and size in bytes of image files, by name relative to the set's folder."""


def load_tiny_imagenet(root: Path | None, wanted: Wanted) -> Dataset:
    """Load Tiny-ImageNet; see `bntt.data.load`.

    The official validation images, which have labels, are the test set; the official test
    images, which have none, are not read. Labels follow the sorted WordNet identifiers.
    """
    refuse_split(TITLE, wanted.split)
    folder = _find(root)
    wnids = _wnids(folder)
    train, test = _training_images(folder, wnids), _validation_images(folder, wnids)
    side = wanted.image_size or SIDE
    sizes = {name: size for name, (_, size) in (train | test).items()}
    images, sums = cached_images(
        "tiny-imagenet",
        folder,
        tuple(sizes),
        {"files": fingerprint(sizes.items())},
        (3, side, side),
        size=wanted.image_size,
        what=f"{TITLE}: images",
        quiet=wanted.quiet,
    )
    mean, std, same = mean_and_deviation(sums[: len(train)], side * side)
    return Dataset(
        name="tiny-imagenet",
        train_images=images[: len(train)],
        train_labels=_labels(train),
        test_images=images[len(train) :],
        test_labels=_labels(test),
        class_names=_class_names(folder, wnids),
        mean=mean,
        std=std,
        source=_source(folder, sizes),
        note=" ".join(filter(None, (_note(len(train), len(test)), same))),
        cache=folder_of(sums),
        geometry=Geometry(channels=3, image_size=side),
    )


def _find(root: Path | None) -> Path:
    try:
        return find(
            root,
            "tiny-imagenet",
            TITLE,
            f"{WNIDS}, train/ and val/",
            lambda place: (place / WNIDS).is_file() and (place / "train").is_dir(),
        )
    except FileNotFoundError as error:
        place = cache_folder() if root is None else root
        archive = place / ARCHIVE if place.is_dir() else place
        if archive.name != ARCHIVE or not archive.is_file():
            raise
        raise FileNotFoundError(
            f"{archive} must be extracted first, such as with: unzip -d {archive.parent} "
            f"{archive}"
        ) from error


def _wnids(folder: Path) -> tuple[str, ...]:
    wnids = (folder / WNIDS).read_text().split()
    if len(wnids) != CLASSES or len(set(wnids)) != CLASSES:
        raise ValueError(
            f"{folder / WNIDS} must list {CLASSES} classes, each once, but lists "
            f"{len(wnids)}, {len(set(wnids))} of them different. Truncated, or another "
            f"set? Extract {ARCHIVE} again."
        )
    return tuple(sorted(wnids))


def _training_images(folder: Path, wnids: tuple[str, ...]) -> Labelled:
    unknown = sorted(set(folders(folder / "train")) - set(wnids))
    if unknown:
        raise ValueError(
            f"{folder / 'train' / unknown[0]} is of no class in {WNIDS}. Is it of another "
            f"set? Take it out."
        )
    images: Labelled = {}
    for label, wnid in enumerate(wnids):
        sizes = _sizes(folder, f"train/{wnid}/images")
        if not sizes:
            raise FileNotFoundError(
                f"{folder / 'train' / wnid / 'images'} holds no JPEG files, expected the "
                f"training images of class {wnid}. Extract {ARCHIVE} again."
            )
        images |= {name: (label, size) for name, size in sizes.items()}
    return images


def _sizes(folder: Path, under: str) -> dict[str, int]:
    """Return the size in bytes of the JPEG files under a folder, by name, as numbered."""
    if not (folder / under).is_dir():
        return {}
    with os.scandir(folder / under) as entries:
        sizes = {
            entry.name: entry.stat().st_size
            for entry in entries
            if entry.name.lower().endswith(ENDING) and entry.name[0] != "."
        }
    # names differ in nothing but a number: the shorter number is the smaller
    names = sorted(sizes, key=lambda name: (len(name), name))
    return {f"{under}/{name}": sizes[name] for name in names}


def _validation_images(folder: Path, wnids: tuple[str, ...]) -> Labelled:
    sizes = _sizes(folder, VAL)
    labels = dict(_annotations(folder, wnids))
    for name in sorted(labels.keys() - sizes.keys()):
        raise FileNotFoundError(
            f"{folder / name} is missing: {folder / ANNOTATIONS} gives it a class. Extract "
            f"{ARCHIVE} again."
        )
    for name in sorted(sizes.keys() - labels.keys()):
        raise ValueError(
            f"{folder / name} has no class: {folder / ANNOTATIONS} does not name it. "
            f"Truncated? Extract {ARCHIVE} again."
        )
    for label in sorted(set(range(CLASSES)) - set(labels.values())):
        raise ValueError(
            f"{folder / ANNOTATIONS} names no image of class {wnids[label]}. Accuracies "
            f"are over all classes; extract {ARCHIVE} again."
        )
    return {name: (labels[name], size) for name, size in sizes.items()}


def _annotations(folder: Path, wnids: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Yield the relative name and the label of each line: ``name``, ``wnid`` and a box."""
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    path = folder / ANNOTATIONS
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, which gives the validation images their classes. Extract "
            f"{ARCHIVE} again."
        )
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        name, wnid = (*line.split("\t"), "", "")[:2]
        if wnid not in label_of:
            raise ValueError(
                f"{path}, line {number}: class {wnid!r} of {name!r} is not in {WNIDS}. "
                f"Damaged? Extract {ARCHIVE} again."
            )
        yield f"{VAL}/{name}", label_of[wnid]


def _labels(images: Labelled) -> torch.Tensor:
    labels = np.array([label for label, _ in images.values()], dtype=np.int64)
    return torch.from_numpy(labels)


def _class_names(folder: Path, wnids: tuple[str, ...]) -> tuple[str, ...]:
    """Return the first of each class's synonyms in ``words.txt``, or its identifier."""
    path = folder / "words.txt"
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    words = dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)
    return tuple(words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids)


def _source(folder: Path, sizes: Mapping[str, int]) -> dict[str, str]:
    source = {f"{TITLE} files": fingerprint(sizes.items())}
    for name in (WNIDS, ANNOTATIONS):
        source[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return source


def _note(train: int, test: int) -> str:
    if (train, test) == (TRAIN, TEST):
        return ""
    return (
        f"{train:,} of the {TRAIN:,} training images and {test:,} of the {TEST:,} "
        f"validation images."
    )
