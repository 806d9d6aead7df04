"""Tiny-ImageNet from its official folder: 200 classes, JPEG files of 64x64 pixels."""

from pathlib import Path

import numpy as np
import torch

from ...machine.terminal import shown
from ..cache import cache_folder, folder_of
from ..dataset import Dataset
from ..folders import find
from ..geometry import Geometry
from ..images.cached import cached_images
from ..options import Request
from ..originals import read_text
from ..splits import refuse_split
from ..statistics import mean_and_deviation
from ..tree import Found, Stamp, folders, left_out, scan

TITLE = "Tiny-ImageNet"
ARCHIVE = "tiny-imagenet-200.zip"
CLASSES = 200
SIDE = 64
TRAIN = 100_000
TEST = 10_000
WNIDS = "wnids.txt"
WORDS = "words.txt"
ANNOTATIONS = "val/val_annotations.txt"
VAL = "val/images"
ENDING = ".jpeg"
LONGEST = 80
"""Letters of a damaged line that are shown."""

Labelled = dict[str, tuple[int, Stamp]]
"""Label and stamp of image files, by name relative to the set's folder."""


def load_tiny_imagenet(request: Request) -> Dataset:
    """Load Tiny-ImageNet; see `bntt.data.load`.

    The official validation images, which have labels, are the test set; the official test
    images, which have none, are not read. Labels follow the sorted WordNet identifiers.
    """
    refuse_split(TITLE, request.options.split)
    folder = _find(request.root)
    texts: dict[str, str] = {}
    wnids = _wnids(folder, texts)
    train, skipped = _training_images(folder, wnids)
    test = _validation_images(folder, wnids, texts, skipped)
    side = request.options.image_size or SIDE
    class_names, nameless = _class_names(folder, wnids, texts)
    images, sums, _, originals = cached_images(
        "tiny-imagenet",
        folder,
        {name: stamp for name, (_, stamp) in (train | test).items()},
        {},
        (3, side, side),
        size=request.options.image_size,
        what=f"{TITLE}: images",
        quiet=request.quiet,
    )
    mean, std, same = mean_and_deviation(sums[: len(train)], side * side, folder)
    return Dataset(
        name="tiny-imagenet",
        train_images=images[: len(train)],
        train_labels=_labels(train),
        test_images=images[len(train) :],
        test_labels=_labels(test),
        class_names=class_names,
        mean=mean,
        std=std,
        source={f"{TITLE} files": originals.digest, **texts},
        originals=originals,
        note=" ".join(
            filter(None, (_note(len(train), len(test)), *left_out(skipped), nameless, same))
        ),
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
            lambda folder: (folder / WNIDS).is_file() and (folder / "train").is_dir(),
        )
    except FileNotFoundError as error:
        named = cache_folder() if root is None else root
        archive = named / ARCHIVE if named.is_dir() else named
        if archive.name != ARCHIVE or not archive.is_file():
            raise
        raise FileNotFoundError(
            f"{archive} must be extracted first, such as with: unzip -d {archive.parent} "
            f"{archive}"
        ) from error


def _wnids(folder: Path, texts: dict[str, str]) -> tuple[str, ...]:
    text, texts[WNIDS] = read_text(folder / WNIDS)
    wnids = text.split()
    if len(wnids) != CLASSES or len(set(wnids)) != CLASSES:
        raise ValueError(
            f"{folder / WNIDS} must list {CLASSES} classes, each once, but lists "
            f"{len(wnids)}, {len(set(wnids))} of them different. Truncated, or another "
            f"set? Extract {ARCHIVE} again."
        )
    return tuple(sorted(wnids))


def _training_images(folder: Path, wnids: tuple[str, ...]) -> tuple[Labelled, list[Found]]:
    """Return the training images, and what lies among them."""
    unknown = sorted(set(folders(folder / "train")) - set(wnids))
    if unknown:
        raise ValueError(
            f"{folder / 'train' / unknown[0]} is of no class in {WNIDS}. Is it of another "
            f"set? Take it out."
        )
    images: Labelled = {}
    found = [scan(folder, f"train/{wnid}/images", (ENDING,)) for wnid in wnids]
    for label, (wnid, one) in enumerate(zip(wnids, found, strict=True)):
        if not one.files:
            raise FileNotFoundError(
                f"{folder / 'train' / wnid / 'images'} holds no JPEG files, expected the "
                f"training images of class {wnid}. Extract {ARCHIVE} again."
            )
        images |= {name: (label, stamp) for name, stamp in one.files.items()}
    return images, found


def _validation_images(
    folder: Path, wnids: tuple[str, ...], texts: dict[str, str], skipped: list[Found]
) -> Labelled:
    found = scan(folder, VAL, (ENDING,))
    skipped.append(found)
    labels = _annotations(folder, wnids, texts)
    for name in sorted(labels.keys() - found.files.keys()):
        raise FileNotFoundError(
            f"{folder}: {shown(name[:LONGEST])} is missing, or no file: "
            f"{folder / ANNOTATIONS} gives it a class. Extract {ARCHIVE} again."
        )
    for name in sorted(found.files.keys() - labels.keys()):
        raise ValueError(
            f"{folder / name} has no class: {folder / ANNOTATIONS} does not name it. "
            f"Truncated? Extract {ARCHIVE} again."
        )
    for label in sorted(set(range(CLASSES)) - set(labels.values())):
        raise ValueError(
            f"{folder / ANNOTATIONS} names no image of class {wnids[label]}. Accuracies "
            f"are over all classes; extract {ARCHIVE} again."
        )
    return {name: (labels[name], stamp) for name, stamp in found.files.items()}


def _annotations(
    folder: Path, wnids: tuple[str, ...], texts: dict[str, str]
) -> dict[str, int]:
    """Return the label of every name; each has a line of ``name``, ``wnid`` and a box."""
    label_of = {wnid: label for label, wnid in enumerate(wnids)}
    path = folder / ANNOTATIONS
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, which gives the validation images their classes. Extract "
            f"{ARCHIVE} again."
        )
    text, texts[ANNOTATIONS] = read_text(path)
    labels: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, wnid = (*line.split("\t"), "", "")[:2]
        if wnid not in label_of:
            raise ValueError(
                f"{path}, line {number}: class {wnid[:LONGEST]!r} of "
                f"{name[:LONGEST]!r} is not in {WNIDS}. Damaged? Extract {ARCHIVE} again."
            )
        if labels.setdefault(f"{VAL}/{name}", label_of[wnid]) != label_of[wnid]:
            raise ValueError(
                f"{path}, line {number}: {name[:LONGEST]!r} has another class in a line "
                f"above. Damaged? Extract {ARCHIVE} again."
            )
    return labels


def _labels(images: Labelled) -> torch.Tensor:
    labels = np.array([label for label, _ in images.values()], dtype=np.int64)
    return torch.from_numpy(labels)


def _class_names(
    folder: Path, wnids: tuple[str, ...], texts: dict[str, str]
) -> tuple[tuple[str, ...], str]:
    """Return the first of each class's synonyms in ``words.txt``, or its identifier.

    And a sentence on the classes that have none there.
    """
    path = folder / WORDS
    text = ""
    if path.is_file():
        text, texts[WORDS] = read_text(path)
    words = dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)
    without = [wnid for wnid in wnids if wnid not in words]
    note = ""
    if without:
        note = (
            f"{WORDS} does not name {len(without)} of {len(wnids)} classes, which go by "
            f"their identifiers, such as {without[0]}."
        )
    names = tuple(words.get(wnid, wnid).split(",")[0].strip() for wnid in wnids)
    return names, note


def _note(train: int, test: int) -> str:
    if (train, test) == (TRAIN, TEST):
        return ""
    return (
        f"{train:,} of the {TRAIN:,} training images and {test:,} of the {TEST:,} "
        f"validation images."
    )
