"""A user's own arrays from one ``.npz`` file, as `numpy.savez` writes them."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from ..dataset import Dataset, pad
from ..folders import what_is_there
from ..geometry import Geometry, bordered
from ..npz_archive import NpzArchive
from ..options import DataOptions, Request
from ..splits import Split, refuse_split, split
from ..statistics import Moments, frame_moments, moments
from .npz_check import Samples, class_names, samples

DIVIDED = ("x_train", "y_train", "x_test", "y_test")
WHOLE = ("x", "y")
NAMES = "class_names"
Arrays = dict[str, np.ndarray]


def load_npz(request: Request) -> Dataset:
    """Load arrays ``x_train y_train x_test y_test``, or ``x y`` and a named split.

    Images are ``[N, H, W]``, ``[N, H, W, C]`` or ``[N, C, H, W]``: uint8, uint16, or any
    whole numbers if ``white`` says which one is white. Frames of events are uint8
    ``[N, T, 2, H, W]`` with the steps that they have, labels integers from 0 without gaps;
    ``class_names`` is optional. See `bntt.data.load`.
    """
    path, options = _locate(request.root), request.options
    arrays, unused = _read(path)
    train, test, chosen = _parts(path, arrays, options)
    names = class_names(path, arrays.get(NAMES), train.labels, test.labels)
    train_images = _images(path, train.images, options.image_size)
    mean, std, same = _moments(path, train_images, train.note)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Dataset(
        name="npz",
        train_images=train_images,
        train_labels=torch.from_numpy(train.labels),
        test_images=_images(path, test.images, options.image_size),
        test_labels=torch.from_numpy(test.labels),
        class_names=names,
        mean=mean,
        std=std,
        source={path.name: sha256} | (chosen.source if chosen else {}),
        note=" ".join(filter(None, (_note(unused, chosen), train.note, same))),
        split_sha256=chosen.sha256 if chosen else "",
        geometry=_geometry(train.images, options),
    )


def _locate(root: Path | None) -> Path:
    if root is None:
        raise FileNotFoundError(
            "'npz' is a file of your own, which no cache holds. Name it with "
            "--data FILE.npz."
        )
    if not root.is_file():
        what = what_is_there(root) if root.exists() else "there is no such file"
        raise FileNotFoundError(
            f"No .npz file {root}: {what}. Name the file itself with --data FILE.npz."
        )
    return root


def _read(path: Path) -> tuple[Arrays, list[str]]:
    """Return the arrays that are used, and the names of the others."""
    with NpzArchive(path) as archive:
        there = archive.names
        used = DIVIDED if set(DIVIDED) <= set(there) else WHOLE
        if not set(used) <= set(there):
            raise ValueError(
                f"{path} must hold {', '.join(DIVIDED)}, or x and y, but holds "
                f"{', '.join(there) or 'nothing'}. Name them as in "
                f"numpy.savez(FILE, x_train=..., y_train=..., x_test=..., y_test=...)."
            )
        needed = [name for name in there if name in (*used, NAMES)]
        arrays = {name: archive.read(name) for name in needed}
    return arrays, [name for name in there if name not in needed]


def _parts(
    path: Path, arrays: Arrays, options: DataOptions
) -> tuple[Samples, Samples, Split | None]:
    """Return the training and the test part, and the split where one was drawn."""
    if "x_train" in arrays:
        refuse_split(str(path), options.split)
        train = samples(path, arrays, "x_train", "y_train", options.white)
        test = samples(path, arrays, "x_test", "y_test", options.white)
        _same_kind(path, arrays)
        _same_shape(path, train.images, test.images)
        return train, test, None
    x, y, note = samples(path, arrays, *WHOLE, options.white)
    chosen = split(options.split, y, options.split_seed)
    train, test = chosen.train, chosen.test
    return Samples(x[train], y[train], note), Samples(x[test], y[test], ""), chosen


def _same_kind(path: Path, arrays: Arrays) -> None:
    """Refuse samples of two types, which would be scaled differently."""
    train, test = (arrays[name].dtype for name in ("x_train", "x_test"))
    if train != test:
        raise ValueError(
            f"{path}: x_train and x_test must hold numbers of one type, but theirs are "
            f"{train} and {test}."
        )


def _same_shape(path: Path, train: np.ndarray, test: np.ndarray) -> None:
    if train.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"{path}: x_train and x_test must hold samples of one shape, but theirs are "
            f"{train.shape[1:]} and {test.shape[1:]}, read with the channels before the "
            f"rows."
        )


def _note(unused: list[str], chosen: Split | None) -> str:
    ignored = f"Not used: {', '.join(unused)}." if unused else ""
    return " ".join(filter(None, (chosen.note if chosen else "", ignored)))


def _images(path: Path, pixels: np.ndarray, size: int) -> torch.Tensor:
    images = torch.from_numpy(pixels)
    height, width = images.shape[-2:]
    if height != width and not size:
        raise ValueError(
            f"{path}: networks take squares, but the images have {height} x {width} "
            f"pixels. Give image_size={max(height, width)} or more for a border of zeros."
        )
    before = images.shape[:-3]
    return pad(images.flatten(0, -4), size, str(path)).unflatten(0, before)


def _geometry(pixels: np.ndarray, options: DataOptions) -> Geometry:
    channels, height, width = pixels.shape[-3:]
    return bordered(channels, (height, width), options.image_size, options.white)


def _moments(path: Path, images: torch.Tensor, dim: str) -> Moments:
    """Return mean and deviation: of events, 0 and the root mean square."""
    if images.ndim == 4:
        return moments(images, path, dim)
    try:
        return frame_moments(images.numpy())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
