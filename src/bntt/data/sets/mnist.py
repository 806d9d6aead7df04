"""MNIST and Fashion-MNIST from idx files, gzipped as published or unpacked.

The two have the same file names, and so have others, with as many images of each class:
only a published checksum says which set a file is of. One that none vouches for, such as an
archive that was packed anew, is judged by its sizes and by how many images of each class
there are, and its classes go by their numbers.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..cache import cache_folder
from ..dataset import Dataset, pad
from ..folders import read_bounded, what_is_there
from ..geometry import bordered
from ..images.idx import gunzip, read_idx
from ..options import Request
from ..splits import refuse_split
from ..statistics import moments
from .download import fetch
from .mnist_files import SETS, SIDE, File, MnistSet, owners_of


def load_mnist(request: Request) -> Dataset:
    """Load MNIST's handwritten digits; see `bntt.data.load`."""
    return _load("mnist", request)


def load_fashion_mnist(request: Request) -> Dataset:
    """Load Fashion-MNIST's articles of clothing; see `bntt.data.load`."""
    return _load("fashion-mnist", request)


def _load(name: str, request: Request) -> Dataset:
    mnist = SETS[name]
    refuse_split(mnist.title, request.options.split)
    place = _find(mnist, request)
    read = {part: _read(mnist, file, place) for part, file in mnist.files.items()}
    _check(mnist, read["train-images"], read["train-labels"], mnist.train_counts)
    _check(mnist, read["t10k-images"], read["t10k-labels"], mnist.test_counts)
    train_images = _images(mnist, read["train-images"], request.options.image_size)
    mean, std, _ = moments(train_images, place)
    return Dataset(
        name=name,
        train_images=train_images,
        train_labels=torch.from_numpy(read["train-labels"].values.astype(np.int64)),
        test_images=_images(mnist, read["t10k-images"], request.options.image_size),
        test_labels=torch.from_numpy(read["t10k-labels"].values.astype(np.int64)),
        class_names=_class_names(mnist, read.values()),
        mean=mean,
        std=std,
        source={one.path.name: one.sha256 for one in read.values()},
        note=_note(read.values()),
        geometry=bordered(1, (SIDE, SIDE), request.options.image_size),
    )


def _find(mnist: MnistSet, request: Request) -> Path:
    """Return the folder that holds all four files, in which they may just have arrived."""
    if request.root is not None:
        return _locate(mnist, request.root)
    cache = cache_folder()
    try:
        return _locate(mnist, cache)
    except FileNotFoundError:
        if not request.download:
            raise
    place = cache / mnist.folders[0]
    for file in mnist.files.values():
        if not _paths(file, place):
            fetch(mnist.published(file), place, quiet=request.quiet)
    return place


def _locate(mnist: MnistSet, root: Path) -> Path:
    """Return the first folder that is complete."""
    partial = []
    for place in (root / folder for folder in mnist.folders):
        missing = [f.name for f in mnist.files.values() if not _paths(f, place)]
        if not missing:
            return place
        if len(missing) < len(mnist.files):
            partial.append(f"{place} lacks {', '.join(missing)}")
    if partial:
        raise FileNotFoundError(
            f"{mnist.title} is incomplete: {'; '.join(partial)} (or the same with .gz). "
            f"Copy the rest there."
        )
    folders = ", ".join(folder for folder in mnist.folders if folder)
    raise FileNotFoundError(
        f"No {mnist.title} in {root}: looked for train-images-idx3-ubyte or the same with "
        f".gz, and three more like it, there and in {folders}; {what_is_there(root)}. Name "
        f"the right folder with --data DIR."
    )


def _paths(file: File, place: Path) -> list[Path]:
    paths = [place / name for name in file.names]
    return [path for path in paths if path.is_file()]


@dataclass(frozen=True, eq=False)
class _Read:
    """One file's values, where they were read and the SHA-256 of what was read."""

    path: Path
    values: np.ndarray
    sha256: str
    known: bool
    """Whether a published checksum vouches for it."""
    note: str = ""
    """Which other file it stands in for."""


def _read(mnist: MnistSet, file: File, place: Path) -> _Read:
    """Read the first whole one of the files that there are."""
    failures = []
    for path in _paths(file, place):
        try:
            read = _read_one(mnist, file, path)
        except ValueError as error:
            failures.append((path, error))
            continue
        instead = [f"{path.name} was read, since {bad.name} is bad." for bad, _ in failures]
        return replace(read, note=" ".join(instead))
    raise failures[0][1]


def _read_one(mnist: MnistSet, file: File, path: Path) -> _Read:
    dimensions, most = (3 if "images" in file.name else 1), mnist.most_bytes(file)
    data = read_bounded(path, most)
    sha256, md5s = hashlib.sha256(data).hexdigest(), {_md5(data)}
    if path.suffix == ".gz":
        data = gunzip(path, data, most)
        md5s.add(_md5(data))
    _refuse_those_of_another(mnist, path, owners_of(md5s))
    values = read_idx(path, data, dimensions)
    return _Read(path, values, sha256, bool(md5s & set(file.md5s)))


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _refuse_those_of_another(mnist: MnistSet, path: Path, owners: list[MnistSet]) -> None:
    for owner in owners:
        if owner is not mnist:
            name = next(name for name, one in SETS.items() if one is owner)
            raise ValueError(
                f"{path} is not {mnist.title}'s: these are {owner.title}'s files, which "
                f"have the same names. Load them as {name!r}."
            )


def _check(
    mnist: MnistSet, images: _Read, labels: _Read, published: tuple[int, ...]
) -> None:
    """Refuse images of another size or number, and labels that are not the published."""
    shape = (sum(published), SIDE, SIDE)
    if images.values.shape != shape:
        raise ValueError(
            f"{images.path} must hold images of shape {shape}, but holds "
            f"{images.values.shape}. Another set's file?"
        )
    if labels.values.shape != shape[:1]:
        raise ValueError(
            f"{labels.path} must hold {shape[0]} labels, but holds {len(labels.values)}. "
            f"Another set's file?"
        )
    outside = np.flatnonzero(labels.values >= len(published))
    if len(outside):
        raise ValueError(
            f"{labels.path}: image {outside[0]} has label {labels.values[outside[0]]}, "
            f"expected 0 to {len(published) - 1}. Damaged, or another set's file?"
        )
    counts = tuple(np.bincount(labels.values, minlength=len(published)).tolist())
    if counts != published:
        raise ValueError(
            f"{labels.path} is not {mnist.title}'s: it has {counts} images of the classes, "
            f"expected {published}. Damaged, or another set's file?"
        )


def _class_names(mnist: MnistSet, read: Iterable[_Read]) -> tuple[str, ...]:
    if all(one.known for one in read):
        return mnist.class_names
    return tuple(map(str, range(len(mnist.class_names))))


def _note(read: Iterable[_Read]) -> str:
    notes = [one.note for one in read if one.note]
    unknown = [one.path.name for one in read if not one.known]
    if unknown:
        notes.append(
            f"No published checksum vouches for {', '.join(unknown)}: judged by sizes and "
            f"by how many images each class has, which another set may share. The classes "
            f"go by their numbers."
        )
    return " ".join(notes)


def _images(mnist: MnistSet, read: _Read, size: int) -> torch.Tensor:
    # a copy: the bytes of a file cannot be written to
    images = torch.from_numpy(read.values[:, None].copy())
    return pad(images, size, mnist.title)
