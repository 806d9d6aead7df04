"""A user's own arrays from one ``.npz`` file, as `numpy.savez` writes them."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..dataset import Dataset, pad
from ..folders import what_is_there
from ..geometry import Geometry, bordered
from ..images.levels import LEAST, MOST, as_bytes, few_levels
from ..npz_archive import NpzArchive
from ..options import DataOptions, Request
from ..splits import Split, refuse_split, split
from ..statistics import Moments, frame_moments, moments

DIVIDED = ("x_train", "y_train", "x_test", "y_test")
WHOLE = ("x", "y")
NAMES = "class_names"
Arrays = dict[str, np.ndarray]
CHANNELS = (1, 3)
DIM = 64
"""Images whose values stay below this, of 255, were probably scaled otherwise."""
ACCEPTED = "[N, H, W], [N, H, W, C] or [N, C, H, W] for images, [N, T, 2, H, W] for events"


class Samples(NamedTuple):
    """Images or frames of events and their labels."""

    images: np.ndarray
    """uint8 [N, C, H, W], or frames of events, uint8 [N, T, 2, H, W]."""
    labels: np.ndarray
    """int64 [N], classes from 0."""
    note: str
    """What a reader must be told of their values; empty if nothing."""


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
    names = _class_names(path, arrays.get(NAMES), train.labels, test.labels)
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
        train = _samples(path, arrays, "x_train", "y_train", options.white)
        test = _samples(path, arrays, "x_test", "y_test", options.white)
        _same_kind(path, arrays)
        _same_shape(path, train.images, test.images)
        return train, test, None
    x, y, note = _samples(path, arrays, *WHOLE, options.white)
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


def _samples(
    path: Path, arrays: dict[str, np.ndarray], x: str, y: str, white: int
) -> Samples:
    """Return the samples in two arrays.

    Args:
        path: Of the file, for messages.
        arrays: All there are.
        x: Name of the images.
        y: Name of the labels.
        white: The value that means white in images of more than 8 bits; 0 for the most that
            their type holds.

    Raises:
        ValueError: If they have another type or shape, or not one label each.
    """
    images, note = _bytes(f"{path}: {x}", arrays[x], white)
    images, labels = (
        _with_channels(f"{path}: {x}", images),
        _labels(f"{path}: {y}", arrays[y]),
    )
    if len(images) != len(labels):
        raise ValueError(
            f"{path} must hold one label per sample, but {x} has {len(images)} samples and "
            f"{y} {len(labels)} labels."
        )
    return Samples(np.ascontiguousarray(images), labels.astype(np.int64), note)


def _class_names(
    path: Path, given: np.ndarray | None, train: np.ndarray, test: np.ndarray
) -> tuple[str, ...]:
    """Return one name per class, and see that every class has images to learn from.

    Args:
        path: Of the file, for messages.
        given: The array ``class_names`` if there is one; else the labels are the names.
        train: Labels of the training samples.
        test: Labels of the others.

    Raises:
        ValueError: If a class has no training sample, or a label or name no class.
    """
    highest = int(max(train.max(), test.max()))
    if given is not None:
        names = _names(path, given)
    elif highest < len(train):
        names = tuple(str(k) for k in range(highest + 1))
    else:  # no name is made for each of a billion classes
        raise ValueError(
            f"{path}: labels must be 0 to K-1 without gaps, but go up to {highest}, and "
            f"there are {len(train)} training samples. Number the classes anew, as "
            f"numpy.unique(y, return_inverse=True)[1] does."
        )
    if highest >= len(names):
        raise ValueError(
            f"{path}: the labels go up to {highest}, but class_names names "
            f"{len(names)} classes, 0 to {len(names) - 1}."
        )
    without = sorted(set(range(len(names))) - set(train.tolist()))
    if without:
        or_less = "" if given is None else ", and take the names of those out"
        raise ValueError(
            f"{path}: labels must be 0 to {len(names) - 1} without gaps, but no training "
            f"sample has label {', '.join(map(str, without[:8]))}. Number the classes "
            f"anew, as numpy.unique(y, return_inverse=True)[1] does{or_less}."
        )
    return names


def _bytes(where: str, array: np.ndarray, white: int) -> tuple[np.ndarray, str]:
    """Return the values as bytes, and what to say of them."""
    if not array.size:
        raise ValueError(f"{where} is empty: its shape is {array.shape}.")
    if array.dtype == np.uint8:
        if white not in (0, LEAST):
            raise ValueError(
                f"{where} is uint8, in which 255 means white, but the recipe has "
                f"white={white}. Leave it at 0."
            )
        return array, _dim(where, array)
    counts = array.ndim == 5
    if array.dtype.kind not in "iu" or counts or not (white or array.dtype == np.uint16):
        deeper = (
            "" if counts else ", or uint16, or whole numbers with `white` in the recipe"
        )
        raise ValueError(
            f"{where} must be uint8, 0 to 255{deeper}, but is {array.dtype}"
            f"{_range(array)}. Save {_advice(array)}."
        )
    try:
        levels = as_bytes(array, white or MOST)
    except ValueError as error:
        raise ValueError(f"{where}: {error}. Give another `white`.") from error
    return levels, few_levels("The arrays'", int(array.max()), white or MOST)


def _dim(where: str, array: np.ndarray) -> str:
    """Say that pictures hardly rise above black; the scale is then the user's own."""
    peak = int(array.max())
    if array.ndim == 5 or not 0 < peak < DIM:
        return ""
    return (
        f"{where} reaches {peak} of 255, and pictures to be classified must be as dark. If "
        f"{peak} is white, save x * {255 // peak}."
    )


def _with_channels(where: str, array: np.ndarray) -> np.ndarray:
    if array.ndim == 3:
        return array[:, None]
    if array.ndim == 4:
        return _channels_first(where, array)
    if array.ndim == 5 and array.shape[2] == 2:
        return array
    raise ValueError(f"{where} must be {ACCEPTED}, but has shape {array.shape}.")


def _channels_first(where: str, array: np.ndarray) -> np.ndarray:
    first, last = (array.shape[axis] in CHANNELS for axis in (1, 3))
    if first and last:
        raise ValueError(
            f"{where} has shape {array.shape}, in which both the second and the last axis "
            f"could be the channels. Save it as [N, 1, H, W] without doubt: leave grey "
            f"images without an axis for channels, or pad the pixels of colour ones."
        )
    if not first and not last:
        raise ValueError(
            f"{where} must have 1 or 3 channels, as [N, C, H, W] or [N, H, W, C], but has "
            f"shape {array.shape}. Frames of events need five axes: [N, T, 2, H, W]."
        )
    return array if first else array.transpose(0, 3, 1, 2)


def _range(array: np.ndarray) -> str:
    if array.dtype.kind not in "fiu" or not array.size:
        return ""
    return f" from {array.min():g} to {array.max():g}"


def _advice(array: np.ndarray) -> str:
    if array.dtype == bool:
        return "(255 * x).astype(numpy.uint8)"
    if array.dtype.kind == "f" and array.size and 0 <= array.min() <= array.max() <= 1:
        return "(255 * x).round().astype(numpy.uint8)"
    return "x.astype(numpy.uint8) once its values lie in that range"


def _labels(where: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"{where} must be integers, but is {array.dtype}. Save y.astype(numpy.int64); "
            f"names of classes go into class_names."
        )
    if array.ndim != 1:
        raise ValueError(
            f"{where} must have shape [N], one label per sample, but has {array.shape}. "
            f"Save y.ravel(), or y.argmax(1) if it is one-hot."
        )
    outside = np.flatnonzero((array < 0) | (array > np.iinfo(np.int64).max))
    if len(outside):
        raise ValueError(
            f"{where} must be classes, counted from 0, but sample {outside[0]} has label "
            f"{array[outside[0]]}."
        )
    return array


def _names(path: Path, given: np.ndarray) -> tuple[str, ...]:
    if given.dtype.kind not in "US" or given.ndim != 1:
        raise ValueError(
            f"{path}: class_names must be a list of strings, but is {given.dtype} of shape "
            f"{given.shape}. Save numpy.array(['cat', 'dog'])."
        )
    try:
        if given.dtype.kind == "S":
            given = np.char.decode(given, "utf-8")
        names = tuple(given.tolist())
    except (ValueError, SystemError) as error:  # of bytes; of numbers that are no letters
        raise ValueError(f"{path}: class_names is no text: {error}.") from error
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(
            f"{path}: class_names must name every class differently, but names "
            f"{', '.join(map(repr, twice[:8]))} more than once."
        )
    return names
