"""Mean and deviation of a set's training images: what networks normalise by.

Of pictures they are taken over all pixels of a channel. Of frames of events the mean is
taken as 0, so that where nothing happened nothing is fed, and the deviation is the root
mean square.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from .events.frames import FULL

CHUNK = 1024
"""Number of images whose pixels are counted at a time."""


class Moments(NamedTuple):
    """What is subtracted from the pixels of each channel, and what they are divided by."""

    mean: tuple[float, ...]
    """Mean of values / 255, to four decimals."""
    std: tuple[float, ...]
    """The same values' deviation; 1 for a channel whose pixels are all the same."""
    note: str
    """Which channels those are, for ``Dataset.note``; or empty."""


def mean_and_deviation(
    sums: Int64[np.ndarray, "N 2 C"], pixels: int, where: object, hint: str = ""
) -> Moments:
    """Return each channel's mean and deviation.

    Args:
        sums: Of the values and of their squares, per image.
        pixels: In each channel of each image.
        where: What was read, for the message.
        hint: Sentence on why they may be the same; else it is asked.

    Raises:
        ValueError: If the pixels are the same in all channels.
    """
    values, squares = sums.sum(axis=0) / (len(sums) * pixels)
    std = _rounded(np.sqrt(np.maximum(squares - values**2, 0)) / 255)
    if not any(std):
        raise ValueError(
            f"{where}: the pixels of each channel are the same in all training images. "
            f"There is nothing to learn from them. {hint or 'Are these the right files?'}"
        )
    same = ", ".join(str(channel) for channel, one in enumerate(std) if not one)
    note = (
        f"The pixels of channel {same} are the same in all training images: their "
        f"deviation is taken as 1."
    )
    std = tuple(one or 1.0 for one in std)
    return Moments(_rounded(values / 255), std, note if same else "")


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def moments(images: UInt8[Tensor, "N C H W"], where: object, hint: str = "") -> Moments:
    """Return each channel's mean and deviation of pixels / 255, rounded to 4 digits.

    Args:
        images: All to train on.
        where: As `mean_and_deviation`.
        hint: Likewise.

    Raises:
        ValueError: If the pixels are the same in all channels.
    """
    levels = torch.zeros(images.shape[1], 256, dtype=torch.int64)
    for chunk in images.split(CHUNK):
        for channel, counts in enumerate(levels):
            counts += torch.bincount(chunk[:, channel].flatten(), minlength=256)
    values = torch.arange(256)
    sums = np.stack([(levels @ values).numpy(), (levels @ values.square()).numpy()])
    pixels = len(images) * images[0, 0].numel()
    return mean_and_deviation(sums[None], pixels, where, hint)


def root_mean_square(squares: Int64[np.ndarray, "2"], count: int) -> Moments:
    """Return mean and deviation of frames divided by 255, per polarity.

    The mean is 0, so that where nothing happened nothing is fed, and the deviation the root
    mean square, to four significant digits; 1 for a polarity that has no events.

    Args:
        squares: Sum of the squared counts, OFF and ON.
        count: Pixels summed, of one polarity.

    Raises:
        ValueError: If there are no events at all.
    """
    if not squares.any():
        raise ValueError(
            "No training sample holds any event. There is nothing to learn from them; are "
            "these the right files?"
        )
    off, on = (float(f"{np.sqrt(s / count) / FULL:.4g}") or 1.0 for s in squares)
    silent = [name for name, s in zip(("OFF", "ON"), squares, strict=True) if not s]
    notes = [f"No training sample holds {name} events." for name in silent]
    return Moments((0.0, 0.0), (off, on), " ".join(notes))


def frame_moments(frames: UInt8[np.ndarray, "N T 2 H W"]) -> Moments:
    """Return mean and deviation of frames that are whole in memory; see `root_mean_square`.

    Args:
        frames: All to train on.

    Raises:
        ValueError: If there are no events at all.
    """
    squares = np.einsum("ntcyx,ntcyx->c", frames, frames, dtype=np.int64)
    return root_mean_square(squares, frames[:, :, 0].size)
