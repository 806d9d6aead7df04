"""A folder of the user's own images: one folder per class, with or without a test set."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .cache import cached, fingerprint
from .dataset import Dataset, Wanted
from .decode import DECODER, cached_images, header, mean_and_deviation
from .events.layout import folders, natural
from .events.splits import refuse_split, split
from .places import what_is_there

ENDINGS = tuple(".jpg .jpeg .png .bmp .ppm .pgm .tif .tiff .webp".split())
TRAIN, TESTS = "train", ("test", "val")
SPLIT = "random-90-10"
CHUNK = 256
"""Files whose headers a thread reads at a time."""


def load_imagefolder(root: Path | None, wanted: Wanted) -> Dataset:
    """Load images of the user's own; see `bntt.data.load`.

    The classes are folders, in natural order: ``train/CLASS/*`` and ``test/CLASS/*`` (or
    ``val/CLASS/*``), or ``CLASS/*`` alone, which ``split="random-90-10"`` divides. The
    images have three channels, unless all of them are grey. They are scaled to
    ``image_size``, which may be left out if all have one size.
    """
    place = _checked(root)
    test = _test_folder(place)
    if test:
        refuse_split(f"{place} has the folder {test}, so that it", wanted.split)
    parts = (TRAIN, test) if test else ("",)
    found = [_listed(place, part) for part in parts]
    _check_classes(place, parts, found)
    return _loaded(_Images(place, found, _skipped(place, parts, found)), wanted)


@dataclass(frozen=True)
class _Part:
    """The images under ``train``, ``test`` or the root, class by class."""

    class_names: tuple[str, ...]
    labels: dict[str, int]
    """By name relative to the root, in the order of the rows."""
    stats: dict[str, os.stat_result]
    skipped: tuple[str, ...]
    """Names of what is no image."""
