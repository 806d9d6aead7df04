"""A folder of the user's own images: one folder per class, with or without a test set."""

from pathlib import Path

import numpy as np
import torch

from ..cache import cached, folder_of
from ..classes import ClassFolders, class_folders, notes_on
from ..dataset import Dataset
from ..folders import what_is_there
from ..geometry import of_squares
from ..images.cached import DECODER, cached_images
from ..images.file import header
from ..images.levels import few_levels_of_all
from ..options import DataOptions, Request
from ..originals import check_unchanged, fingerprint, sha256_of_names
from ..splits import Split, refuse_split, split
from ..statistics import mean_and_deviation
from ..tree import Found, Stamp, beside, folders

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
TESTS = ("test", "val")
"""Folders of test images beside ``train``, the first choice first."""
SPLIT = "random-90-10"
AT_WORK = 12
"""Bytes that decoding takes for a pixel: four values of it, three times."""
CHUNK = 256
"""Files whose headers a thread reads at a time."""


def load_imagefolder(request: Request) -> Dataset:
    """Load images of the user's own; see `bntt.data.load`.

    The classes are folders, in natural order: ``train/CLASS/*`` and ``test/CLASS/*`` (or
    ``val/CLASS/*``), or ``CLASS/*`` alone, which ``split="random-90-10"`` divides; images
    in folders within those are of the class too. The images have three channels, unless all
    of them are grey. They are scaled to ``image_size``, which may be left out if all have
    one size.
    """
    folder, inside = _listing_of(request.root)
    test = _test_folder(folder, inside)
    if not test:
        found = _listed(folder, "")
        divided = _divided(folder, found, request.options)
        return _loaded(folder, [found], Found(), divided, request)
    refuse_split(f"the folder {folder}, with {test} in it,", request.options.split)
    parts = [_listed(folder, "train"), _listed(folder, test)]
    _check_same_classes(folder, parts, test)
    return _loaded(folder, parts, beside(folder, "", ["train", test]), None, request)


def _listing_of(root: Path | None) -> tuple[Path, list[str]]:
    """Return the set's folder, and the names of the folders in it."""
    if root is None:
        raise ValueError(
            "imagefolder is a folder of your own images: name it with --data DIR. It holds "
            "train/CLASS/*.png and test/CLASS/*.png, or CLASS/*.png."
        )
    inside = folders(root) if root.is_dir() else []
    if not inside:
        raise FileNotFoundError(
            f"No classes in {root}: looked for folders of images, train/CLASS and "
            f"test/CLASS or just CLASS; {what_is_there(root)}. Name the folder that holds "
            f"them with --data DIR."
        )
    return root, inside


def _test_folder(folder: Path, inside: list[str]) -> str:
    """Return the name of the test images' folder, empty if the classes lie in `folder`."""
    if "train" not in inside or not folders(folder / "train"):
        return ""
    for name in TESTS:
        if name in inside:
            return name
    raise FileNotFoundError(
        f"{folder} holds train but neither test nor val, to test on. Add one of them with "
        f"the same classes in it, or name {folder / 'train'} and set split={SPLIT!r}."
    )


def _listed(folder: Path, under: str) -> ClassFolders:
    part = class_folders(folder, under, ENDINGS)
    if len(part.found) < 2:
        raise ValueError(
            f"{folder / under} must hold at least two classes, each a folder of images, "
            f"but {what_is_there(folder / under)}."
        )
    for name, one in part.found.items():
        if not one.files:
            raise ValueError(
                f"{folder / under / name} holds no images ({', '.join(ENDINGS)}): "
                f"{what_is_there(folder / under / name)}. A class must have some; add "
                f"them, or take the folder out."
            )
    return part


def _divided(folder: Path, found: ClassFolders, options: DataOptions) -> Split:
    if options.split != SPLIT:
        raise ValueError(
            f"{folder} has no test set (its folders are classes, not train and test), so "
            f"that `split` must be {SPLIT!r}, got {options.split!r}."
        )
    return split(SPLIT, np.array(found.labels), options.split_seed, tuple(found.files))


def _check_same_classes(folder: Path, parts: list[ClassFolders], test: str) -> None:
    train_names, test_names = (set(part.class_names) for part in parts)
    for name in sorted(train_names ^ test_names):
        has, lacks = ("train", test) if name in train_names else (test, "train")
        raise ValueError(
            f"{folder / lacks} lacks the class {name!r}, which is in {has}. Both must have "
            f"the same folders."
        )


def _loaded(
    folder: Path,
    parts: list[ClassFolders],
    around: Found,
    divided: Split | None,
    request: Request,
) -> Dataset:
    options = request.options
    rows, train = _rows(parts, divided)
    listed = [pair for part in parts for pair in part.files.items()]
    files = dict(listed[row] for row in rows)
    shape, most = _shape(folder, files, request)
    source = divided.source if divided else {}
    images, sums, deep, originals = cached_images(
        "imagefolder",
        folder,
        files,
        {"split": source},
        shape,
        size=options.image_size,
        what="Own images",
        quiet=request.quiet,
        white=options.white,
        at_work=AT_WORK * most,
    )
    labels = np.array([label for part in parts for label in part.labels], dtype=np.int64)
    labels = torch.from_numpy(labels[rows])
    dim = few_levels_of_all(deep, options.white)
    mean, std, same = mean_and_deviation(sums[:train], shape[1] * shape[2], folder, dim)
    notes = [*([divided.note] if divided else []), *notes_on(parts, around)]
    notes.extend(filter(None, (same, dim)))
    return Dataset(
        name="imagefolder",
        train_images=images[:train],
        train_labels=labels[:train],
        test_images=images[train:],
        test_labels=labels[train:],
        class_names=parts[0].class_names,
        mean=mean,
        std=std,
        source={"imagefolder files": originals.digest, **source},
        originals=originals,
        note=" ".join(notes),
        split_sha256=divided.sha256 if divided else "",
        cache=folder_of(sums),
        geometry=of_squares(shape, options.white),
    )


def _rows(parts: list[ClassFolders], divided: Split | None) -> tuple[np.ndarray, int]:
    """Return which image is in which row, and how many rows train."""
    if divided:
        return np.concatenate([divided.train, divided.test]), len(divided.train)
    return np.arange(sum(len(part.labels) for part in parts)), len(parts[0].labels)


def _shape(
    folder: Path, files: dict[str, Stamp], request: Request
) -> tuple[tuple[int, int, int], int]:
    """Return channels, height and width that all images have or are scaled to.

    And the pixels of the largest.
    """
    names, size = list(files), request.options.image_size

    def fill(first: int, last: int, views: dict[str, np.ndarray]) -> None:
        for row, name in enumerate(names[first:last]):
            height, width, grey = header(folder / name)
            check_unchanged(folder / name, files[name])
            views["sides"][row] = height, width
            views["grey"][row] = grey

    headers = cached(
        "imagefolder-headers",
        {"files": fingerprint(files), "order": sha256_of_names(names), "decoder": DECODER},
        {"sides": ((len(names), 2), "int32"), "grey": ((len(names),), "bool")},
        fill,
        chunk=CHUNK,
        what="Headers of own images",
        quiet=request.quiet,
    )
    channels, sides = 1 if headers["grey"].all() else 3, headers["sides"]
    most = int(sides.astype(np.int64).prod(axis=1).max())
    if size:
        return (channels, size, size), most
    other = (sides != sides[0]).any(axis=1)
    if other.any():
        row = int(other.argmax())
        raise ValueError(
            f"The images differ in size: {names[0]} is {sides[0, 1]} pixels wide and "
            f"{sides[0, 0]} high, {names[row]} {sides[row, 1]} and {sides[row, 0]}. Set "
            f"image_size, to which all are scaled and cropped."
        )
    return (channels, int(sides[0, 0]), int(sides[0, 1])), most
