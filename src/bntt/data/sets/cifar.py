"""CIFAR-10 and CIFAR-100 from the files that their users have on disk.

Two versions are published. The python one is pickles, opened only if their checksums are
the published ones (`published`). The binary one can run no code: a folder of it is judged
by size and label range.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch

from ..cache import cache_folder
from ..dataset import Dataset, refuse_other_size
from ..folders import read_bounded, what_is_there
from ..geometry import Geometry
from ..options import Request
from ..splits import refuse_split
from .cifar_files import SETS, TEST, TRAIN, CifarSet, Version
from .download import fetch
from .published import unpack, unpickle

SIDE = 32
PIXELS = 3 * SIDE * SIDE
MOST = 256 << 20
"""Bytes, more than any of the published files has."""


def load_cifar10(request: Request) -> Dataset:
    """Load CIFAR-10; see `bntt.data.load`."""
    return _load("cifar10", request)


def load_cifar100(request: Request) -> Dataset:
    """Load CIFAR-100 with its 100 fine labels; see `bntt.data.load`."""
    return _load("cifar100", request)


def _load(name: str, request: Request) -> Dataset:
    cifar = SETS[name]
    refuse_split(cifar.title, request.options.split)
    refuse_other_size(cifar.title, SIDE, request.options.image_size)
    version, place = _find(cifar, request)
    files = _Files(version, place)
    per_file = TRAIN // len(version.train)
    train = [_decode(cifar, files, file, per_file) for file in version.train]
    test_images, test_labels = _decode(cifar, files, version.test, TEST)
    return Dataset(
        name=name,
        train_images=_images(np.concatenate([pixels for pixels, _ in train])),
        train_labels=torch.from_numpy(np.concatenate([labels for _, labels in train])),
        test_images=_images(test_images.copy()),  # the bytes of a file cannot be written to
        test_labels=torch.from_numpy(test_labels),
        class_names=_class_names(cifar, files),
        mean=cifar.mean,
        std=cifar.std,
        source=files.sha256,
        geometry=Geometry(channels=3, image_size=SIDE),
    )


def _images(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.reshape(-1, 3, SIDE, SIDE))


def _find(cifar: CifarSet, request: Request) -> tuple[Version, Path]:
    if request.root is not None:
        return _locate(cifar, request.root)
    cache = cache_folder()
    try:
        return _locate(cifar, cache)
    except FileNotFoundError:
        if not request.download:
            raise
    return cifar.versions[0], fetch(cifar.published, cache, quiet=request.quiet)


def _locate(cifar: CifarSet, root: Path) -> tuple[Version, Path]:
    """Return the first version that is complete, and the folder or archive it is in."""
    partial = []
    for version in cifar.versions:
        for place in (root / version.folder, root, root / version.archive):
            missing = _missing(version, place)
            if not missing:
                return version, place
            if len(missing) < len(version.files):
                partial.append(f"{place} lacks {', '.join(missing)}")
    if partial:
        raise FileNotFoundError(
            f"{cifar.title} is incomplete: {'; '.join(partial)}. Extract the archive "
            f"again, or name the folder that holds it: it is read as it is."
        )
    folders = " or ".join(version.folder for version in cifar.versions)
    archives = " or ".join(version.archive for version in cifar.versions)
    raise FileNotFoundError(
        f"No {cifar.title} in {root}: looked for {folders} (there, or as the folder "
        f"itself) and for {archives}; {what_is_there(root)}. Name the right folder with "
        f"--data DIR."
    )


def _missing(version: Version, place: Path) -> list[str]:
    if place.is_file() and place.name == version.archive:
        return []
    return [name for name in version.files if not (place / name).is_file()]


class _Files:
    """The files of one version, in a folder or in its archive, hashed as they are read."""

    def __init__(self, version: Version, place: Path) -> None:
        self.version = version
        self.place = place
        self.sha256: dict[str, str] = {}
        self.members = None
        if place.is_file():
            archive = self._hashed(place.name, read_bounded(place, MOST))
            self.members = unpack(place, archive, version.archive_md5)

    def read(self, name: str) -> bytes:
        """Return one file's bytes."""
        if self.members is not None:
            return self._hashed(name, self.members[name])
        return self._hashed(name, read_bounded(self.place / name, MOST))

    def _hashed(self, name: str, data: bytes) -> bytes:
        self.sha256[name] = hashlib.sha256(data).hexdigest()
        return data


def _decode(
    cifar: CifarSet, files: _Files, name: str, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels uint8 [count, 3072] and labels int64 [count] of one file."""
    path, data = files.place / name, files.read(name)
    if not files.version.md5:
        return _from_records(cifar, path, data, count)
    batch = unpickle(path, data, files.version.md5[name])
    pixels, labels = batch[b"data"], np.asarray(batch[cifar.labels_key], dtype=np.int64)
    if pixels.shape != (count, PIXELS) or labels.shape != (count,):
        raise ValueError(
            f"{path} must hold {count} images of {PIXELS} bytes with a label each, but has "
            f"pixels of shape {pixels.shape} and labels of shape {labels.shape}."
        )
    _check_labels(path, labels, cifar.label_ranges[-1])
    return pixels, labels


def _from_records(
    cifar: CifarSet, path: Path, data: bytes, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Read records of the label bytes, the finest last, and three colour planes."""
    ahead = len(cifar.label_ranges)
    width = ahead + PIXELS
    if len(data) != count * width:
        raise ValueError(
            f"{path} must have {count * width} bytes, {count} records of {width}, but has "
            f"{len(data)}. Truncated, or another file? Extract it again."
        )
    records = np.frombuffer(data, dtype=np.uint8).reshape(count, width)
    for column, classes in enumerate(cifar.label_ranges):
        _check_labels(path, records[:, column], classes)
    return records[:, ahead:], records[:, ahead - 1].astype(np.int64)


def _check_labels(path: Path, labels: np.ndarray, classes: int) -> None:
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        raise ValueError(
            f"{path}: image {outside[0]} has label {labels[outside[0]]}, expected 0 to "
            f"{classes - 1}. Damaged, or another set's file? Extract it again."
        )


def _class_names(cifar: CifarSet, files: _Files) -> tuple[str, ...]:
    path, data = files.place / files.version.names, files.read(files.version.names)
    if files.version.md5:
        names = unpickle(path, data, files.version.md5[path.name])[cifar.names_key]
    else:
        names = data.split()
    if len(names) != cifar.label_ranges[-1]:
        raise ValueError(
            f"{path} must name {cifar.label_ranges[-1]} classes, but names {len(names)}. "
            f"Truncated? Extract it again."
        )
    return tuple(name.decode("utf-8", "replace") for name in names)
