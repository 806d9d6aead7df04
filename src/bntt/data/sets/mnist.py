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
from .download import Published, fetch

PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
SIDE = 28


@dataclass(frozen=True)
class File:
    """One published archive."""

    name: str
    """Name of the file in the archive, which is called the same with ``.gz``."""
    md5: str
    """Checksum of the archive."""
    unpacked_md5: str = ""
    """Checksum of the file in it; empty if it is not known."""

    @property
    def md5s(self) -> tuple[str, ...]:
        """What is known of the archive and of the file in it."""
        return tuple(filter(None, (self.md5, self.unpacked_md5)))

    @property
    def names(self) -> tuple[str, ...]:
        """What it is called on disk, the archive first, whose checksum is published.

        Some programs that unpack write a dot for the first hyphen of the ending.
        """
        dotted = self.name.replace("-idx", ".idx")
        return f"{self.name}.gz", self.name, dotted


@dataclass(frozen=True, kw_only=True)
class MnistSet:
    """Four files in idx format and what must be in them."""

    title: str
    folders: tuple[str, ...]
    """Where they lie in the folder that the user names; the first one holds downloads."""
    addresses: tuple[str, ...]
    files: dict[str, File]
    """The files by their part, such as ``"train-images"``."""
    train_counts: tuple[int, ...]
    """Number of training images of each class."""
    test_counts: tuple[int, ...]
    class_names: tuple[str, ...]

    def most_bytes(self, file: File) -> int:
        """What one file can take, unpacked, with room for one of another set."""
        per_image = SIDE * SIDE if "images" in file.name else 1
        return 2 * per_image * sum(self.train_counts) + (1 << 20)

    def published(self, file: File) -> Published:
        """What to download of one file."""
        return Published(
            title=self.title,
            file=f"{file.name}.gz",
            checksum=f"md5:{file.md5}",
            urls=tuple(f"{address}{file.name}.gz" for address in self.addresses),
        )


def _files(*md5s: tuple[str, ...]) -> dict[str, File]:
    files = {}
    for part, sums in zip(PARTS, md5s, strict=True):
        dimensions = 3 if part.endswith("images") else 1
        files[part] = File(f"{part}-idx{dimensions}-ubyte", *sums)
    return files


SETS = {
    "mnist": MnistSet(
        title="MNIST",
        folders=("MNIST/raw", "mnist", "raw", ""),
        addresses=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        files=_files(
            ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "6bbc9ace898e44ae57da46a324031adb"),
            ("d53e105ee54ea40749a09fcbcd1e9432", "a25bea736e30d166cdddb491f175f624"),
            ("9fb629c4189551a2d022fa330f9573f3", "2646ac647ad5339dbf082846283269ea"),
            ("ec29112dd5afa0611ce80d1b7f02629c", "27ae3e4e09519cfbb04c329615203637"),
        ),
        train_counts=(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        test_counts=(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        class_names=tuple("0123456789"),
    ),
    "fashion-mnist": MnistSet(
        title="Fashion-MNIST",
        folders=("FashionMNIST/raw", "fashion-mnist", "fashion", "raw", ""),
        addresses=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        files=_files(
            ("8d4fb7e6c68d591d4c3dfef9ec88bf0d",),
            ("25c81989df183df01b3e8a0aad5dffbe",),
            ("bef4ecab320f06d8554ea6380940ec79",),
            ("bb300cfdad3c16e7a12a480ee83cd310",),
        ),
        train_counts=(6000,) * 10,
        test_counts=(1000,) * 10,
        class_names=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
    ),
}


def owners_of(md5s: set[str]) -> list[MnistSet]:
    """Return the sets that publish a file with one of these checksums."""
    return [s for s in SETS.values() if any(md5s & {*f.md5s} for f in s.files.values())]


def load_mnist(request: Request) -> Dataset:
    """Load MNIST's handwritten digits; see `bntt.data.load`."""
    return _load("mnist", request)


def load_fashion_mnist(request: Request) -> Dataset:
    """Load Fashion-MNIST's articles of clothing; see `bntt.data.load`."""
    return _load("fashion-mnist", request)


def _load(name: str, request: Request) -> Dataset:
    mnist = SETS[name]
    refuse_split(mnist.title, request.options.split)
    folder = _find(mnist, request)
    read = {part: _read(mnist, file, folder) for part, file in mnist.files.items()}
    _check(mnist, read["train-images"], read["train-labels"], mnist.train_counts)
    _check(mnist, read["t10k-images"], read["t10k-labels"], mnist.test_counts)
    train_images = _images(mnist, read["train-images"], request.options.image_size)
    mean, std, _ = moments(train_images, folder)
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
    folder = cache / mnist.folders[0]
    for file in mnist.files.values():
        if not _paths(file, folder):
            fetch(mnist.published(file), folder, quiet=request.quiet)
    return folder


def _locate(mnist: MnistSet, root: Path) -> Path:
    """Return the first folder that is complete."""
    partial = []
    for folder in (root / name for name in mnist.folders):
        missing = [f.name for f in mnist.files.values() if not _paths(f, folder)]
        if not missing:
            return folder
        if len(missing) < len(mnist.files):
            partial.append(f"{folder} lacks {', '.join(missing)}")
    if partial:
        raise FileNotFoundError(
            f"{mnist.title} is incomplete: {'; '.join(partial)} (or the same with .gz). "
            f"Copy the rest there."
        )
    folders = ", ".join(name for name in mnist.folders if name)
    raise FileNotFoundError(
        f"No {mnist.title} in {root}: looked for train-images-idx3-ubyte or the same with "
        f".gz, and three more like it, there and in {folders}; {what_is_there(root)}. Name "
        f"the right folder with --data DIR."
    )


def _paths(file: File, folder: Path) -> list[Path]:
    paths = [folder / name for name in file.names]
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


def _read(mnist: MnistSet, file: File, folder: Path) -> _Read:
    """Read the first whole one of the files that there are."""
    failures = []
    for path in _paths(file, folder):
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
    data = read_bounded(path, most, "file of MNIST")
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
