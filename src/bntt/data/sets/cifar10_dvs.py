"""CIFAR10-DVS (Li 2017): CIFAR-10's images moved before a DVS128."""

import re
from functools import partial
from pathlib import Path

import numpy as np

from ..dataset import Dataset
from ..events.cached import load_frames
from ..events.files.aedat2 import read_aedat2
from ..events.files.npz import read_npz
from ..events.listing import Listing, Sample
from ..events.recording import Events
from ..folders import find
from ..options import Request
from ..splits import Split, split
from ..tree import Found, left_out, scan

SIDE = 128
EACH = 1000
"""Recordings per class."""
CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
ENDINGS = (".aedat", ".npz")
"""The official files, or what other libraries make of them; the first found counts."""


def load_cifar10_dvs(request: Request) -> Dataset:
    """Load CIFAR10-DVS from ``CLASS/cifar10_CLASS_K.aedat`` (or ``.npz``).

    There is no official test set: ``split`` names a division, see `splits.split`.
    """
    looked_for = "the class folders airplane to truck"
    folder = find(request.root, "cifar10dvs", "CIFAR10-DVS", looked_for, _is_it)
    found = [_recordings(folder, name) for name in CLASSES]
    _check_complete(folder, found)
    samples = [Sample(file, k) for k, one in enumerate(found) for file in one.files]
    labels, names = np.array([s.label for s in samples]), [s.file for s in samples]
    options = request.options
    chosen = split(options.split, labels, options.split_seed, names)
    return load_frames(_listing(folder, found, samples, chosen, options.outside), request)


def _listing(
    folder: Path, found: list[Found], samples: list[Sample], chosen: Split, outside: str
) -> Listing:
    return Listing(
        name="cifar10dvs",
        title="CIFAR10-DVS",
        folder=folder,
        files={name: stamp for one in found for name, stamp in one.files.items()},
        train=[samples[k] for k in chosen.train],
        test=[samples[k] for k in chosen.test],
        class_names=CLASSES,
        side=SIDE,
        notes=(chosen.note, *_partial(found), *left_out(found)),
        split=chosen,
        sensor=(SIDE, SIDE),
        read=partial(read_official, outside=outside),
    )


def read_official(path: Path, outside: str = "refuse") -> Events:
    """Read one recording of the set, or what another library made of it."""
    if path.suffix.lower() == ".npz":
        return read_npz(path, SIDE, SIDE, outside)
    # as SpikingJelly and tonic read this set, so that their .npz lie the same way round
    return read_aedat2(path, transposed=True)


def _is_it(folder: Path) -> bool:
    return any(_recordings(folder, name).files for name in CLASSES)


def _recordings(folder: Path, name: str) -> Found:
    """Return a class's recordings, in the order of their numbers."""
    official = re.compile(rf"{name}/cifar10_{name}_\d+\.\w+")
    for ending in ENDINGS:
        found = scan(folder, name, (ending,))
        for other in [file for file in found.files if not official.fullmatch(file)]:
            del found.files[other]
            found.skip("other names", other)
        if found.files:
            return found
    return Found()


def _check_complete(folder: Path, found: list[Found]) -> None:
    missing = [name for name, one in zip(CLASSES, found, strict=True) if not one.files]
    if missing:
        raise FileNotFoundError(
            f"CIFAR10-DVS in {folder} is incomplete: no cifar10_CLASS_K.aedat (or .npz) in "
            f"{', '.join(missing)}. Extract these classes' archives there."
        )


def _partial(found: list[Found]) -> tuple[str, ...]:
    counts = [len(one.files) for one in found]
    if counts == [EACH] * len(CLASSES):
        return ()
    fewest, most = min(counts), max(counts)
    each = str(most) if fewest == most else f"{fewest} to {most}"
    return (f"Partial: {each} of {EACH} recordings of each class.",)
