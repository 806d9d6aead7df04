"""Scikit-learn's digits before a simulated event camera: events without a download."""

from pathlib import Path

import numpy as np
import torch

from ..dataset import Dataset, Wanted
from ..events.frames import check_frames, to_frames
from ..events.saccade import saccades
from ..events.samples import frame_moments
from ..geometry import Geometry
from ..splits import names_sha256, refuse_split
from .digits import fold_of, scans

NAME = "digits-dvs"
WHITE = 16
"""The scans' highest level."""
SENSOR = "16x16"


def load_digits_dvs(_: Path | None, wanted: Wanted) -> Dataset:
    """Load the events of the 1,797 scans of 8x8, on a sensor of 16x16; see `saccade`.

    The folds are those of `digits`. The events are computed anew each time, which takes a
    second or two.
    """
    refuse_split(NAME, wanted.split)
    check_frames(wanted.num_steps, wanted.image_size, wanted.frames)
    pixels, labels, sha256 = scans()
    train, test = fold_of(pixels, labels, wanted.fold)
    frames, dropped = _frames(pixels / WHITE, wanted)
    squares = np.square(frames[train], dtype=np.int64).sum(axis=(0, 1, 3, 4))
    moments = frame_moments(squares, frames[train, :, 0].size)
    return Dataset(
        name=NAME,
        train_images=torch.from_numpy(frames[train]),
        train_labels=torch.from_numpy(labels[train]),
        test_images=torch.from_numpy(frames[test]),
        test_labels=torch.from_numpy(labels[test]),
        class_names=tuple("0123456789"),
        mean=moments.mean,
        std=moments.std,
        source={"sklearn-digits": sha256},
        split_sha256=names_sha256(map(str, train), map(str, test)),
        note=f"{dropped} events were dropped by full pixels." if dropped else "",
        geometry=Geometry(
            channels=2, image_size=frames.shape[-1], sensor=SENSOR, frames=wanted.frames
        ),
    )


def _frames(images: np.ndarray, wanted: Wanted) -> tuple[np.ndarray, int]:
    each = [
        to_frames(events, wanted.num_steps, wanted.image_size, wanted.frames)
        for events in saccades(images)
    ]
    return np.stack([frames for frames, _ in each]), sum(dropped for _, dropped in each)
