"""Scikit-learn's digits before a simulated event camera: events without a download."""

import numpy as np
import torch

from ..dataset import Dataset
from ..events.frames import check_frames, to_frames
from ..events.saccade import saccades
from ..geometry import Geometry
from ..options import DataOptions, Request
from ..splits import names_sha256, refuse_split
from ..statistics import frame_moments
from .digits import fold_of, scans

NAME = "digits-dvs"
WHITE = 16
"""The scans' highest level."""
SENSOR = "16x16"


def load_digits_dvs(request: Request) -> Dataset:
    """Load the events of the 1,797 scans of 8x8, on a sensor of 16x16; see `saccade`.

    The folds are those of `digits`. The events are computed anew each time, which takes a
    second or two.
    """
    options = request.options
    refuse_split(NAME, options.split)
    check_frames(options.num_steps, options.image_size, options.frames)
    pixels, labels, sha256 = scans()
    train, test = fold_of(pixels, labels, options.fold)
    frames, dropped = _frames(pixels / WHITE, options)
    moments = frame_moments(frames[train])
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
            channels=2, image_size=frames.shape[-1], sensor=SENSOR, frames=options.frames
        ),
    )


def _frames(images: np.ndarray, options: DataOptions) -> tuple[np.ndarray, int]:
    each = [
        to_frames(events, options.num_steps, options.image_size, options.frames)
        for events in saccades(images)
    ]
    return np.stack([frames for frames, _ in each]), sum(dropped for _, dropped in each)
