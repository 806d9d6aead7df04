"""CIFAR-10 and CIFAR-100 from the files that their users have on disk.

Two versions are published. The python one is pickles, opened only if their checksums are
the published ones (`published`). The binary one can run no code: a folder of it is judged
by size and label range.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..cache import cache_folder
from ..dataset import Dataset, refuse_other_size
from ..folders import read_bounded, what_is_there
from ..geometry import Geometry
from ..options import Request
from ..splits import refuse_split
from .download import Published, fetch
from .published import unpack, unpickle

SIDE = 32
PIXELS = 3 * SIDE * SIDE
MOST = 256 << 20
"""Bytes, more than any of the published files has."""
ADDRESS = "https://www.cs.toronto.edu/~kriz/"

TRAIN = 50_000
TEST = 10_000


@dataclass(frozen=True, kw_only=True)
class Version:
    """One published form of a set."""

    folder: str
    archive: str
    archive_md5: str
    train: tuple[str, ...]
    test: str
    names: str
    md5: dict[str, str]
    """Checksum of each file; empty for the binary version, which has none published."""

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that is read."""
        return (*self.train, self.test, self.names)


@dataclass(frozen=True, kw_only=True)
class CifarSet:
    """A set in its two published forms."""

    title: str
    versions: tuple[Version, ...]
    """The python version first: it is the one with checksums, and the one downloaded."""
    label_ranges: tuple[int, ...]
    """Classes of each label byte in a binary record; the last is the one to learn."""
    labels_key: bytes
    names_key: bytes
    mean: tuple[float, ...]
    """Of all training pixels divided by 255."""
    std: tuple[float, ...]

    @property
    def published(self) -> Published:
        """The archive of the python version, which is the one downloaded."""
        version = self.versions[0]
        return Published(
            title=self.title,
            file=version.archive,
            checksum=f"md5:{version.archive_md5}",
            urls=(ADDRESS + version.archive,),
        )


SETS = {
    "cifar10": CifarSet(
        title="CIFAR-10",
        versions=(
            Version(
                folder="cifar-10-batches-py",
                archive="cifar-10-python.tar.gz",
                archive_md5="c58f30108f718f92721af3b95e74349a",
                train=tuple(f"data_batch_{k}" for k in range(1, 6)),
                test="test_batch",
                names="batches.meta",
                md5={
                    "data_batch_1": "c99cafc152244af753f735de768cd75f",
                    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                    "data_batch_4": "634d18415352ddfa80567beed471001a",
                    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
                    "test_batch": "40351d587109b95175f43aff81a1287e",
                    "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
                },
            ),
            Version(
                folder="cifar-10-batches-bin",
                archive="cifar-10-binary.tar.gz",
                archive_md5="c32a1d4ab5d03f1284b67883e8d87530",
                train=tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
                test="test_batch.bin",
                names="batches.meta.txt",
                md5={},
            ),
        ),
        label_ranges=(10,),
        labels_key=b"labels",
        names_key=b"label_names",
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    "cifar100": CifarSet(
        title="CIFAR-100",
        versions=(
            Version(
                folder="cifar-100-python",
                archive="cifar-100-python.tar.gz",
                archive_md5="eb9058c3a382ffc7106e4002c42a8d85",
                train=("train",),
                test="test",
                names="meta",
                md5={
                    "train": "16019d7e3df5f24257cddd939b257f8d",
                    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
                    "meta": "7973b15100ade9c7d40fb424638fde48",
                },
            ),
            Version(
                folder="cifar-100-binary",
                archive="cifar-100-binary.tar.gz",
                archive_md5="03b5dce01913d631647c71ecec9e9cb8",
                train=("train.bin",),
                test="test.bin",
                names="fine_label_names.txt",
                md5={},
            ),
        ),
        label_ranges=(20, 100),
        labels_key=b"fine_labels",
        names_key=b"fine_label_names",
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
}


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
    version, source = _find(cifar, request)
    files = _Files(version, source)
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
        for source in (root / version.folder, root, root / version.archive):
            missing = _missing(version, source)
            if not missing:
                return version, source
            if len(missing) < len(version.files):
                partial.append(f"{source} lacks {', '.join(missing)}")
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


def _missing(version: Version, source: Path) -> list[str]:
    if source.is_file() and source.name == version.archive:
        return []
    return [name for name in version.files if not (source / name).is_file()]


class _Files:
    """The files of one version, in a folder or in its archive, hashed as they are read."""

    def __init__(self, version: Version, source: Path) -> None:
        self.version = version
        self.source = source
        self.sha256: dict[str, str] = {}
        self.members = None
        if source.is_file():
            archive = read_bounded(source, MOST, "file of CIFAR")
            self._hashed(source.name, archive)
            self.members = unpack(source, archive, version.archive_md5)

    def read(self, name: str) -> bytes:
        """Return one file's bytes."""
        if self.members is not None:
            return self._hashed(name, self.members[name])
        return self._hashed(name, read_bounded(self.source / name, MOST, "file of CIFAR"))

    def _hashed(self, name: str, data: bytes) -> bytes:
        self.sha256[name] = hashlib.sha256(data).hexdigest()
        return data


def _decode(
    cifar: CifarSet, files: _Files, name: str, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels uint8 [count, 3072] and labels int64 [count] of one file."""
    path, data = files.source / name, files.read(name)
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
    path, data = files.source / files.version.names, files.read(files.version.names)
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
