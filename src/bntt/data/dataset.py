"""What an image or event set is, and how a validation split is drawn."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from ..config.sets import AUTHORS
from .geometry import Geometry, bordered
from .originals import Originals

Images = UInt8[Tensor, "N C H W"] | UInt8[Tensor, "N T C H W"]
"""Pictures of bytes, or the frames of events: counts per time-step, polarity and pixel."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """An image or event set, in memory or memory-mapped, and where it came from."""

    name: str
    train_images: Images
    train_labels: Int64[Tensor, " N"]
    test_images: UInt8[Tensor, "M C H W"] | UInt8[Tensor, "M T C H W"]
    test_labels: Int64[Tensor, " M"]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    """Mean of the training pixels divided by 255, per channel; 0 for events, so that where
    nothing happened nothing is fed."""
    std: tuple[float, ...]
    """Deviation of the same pixels from `mean`, per channel; for events, therefore, their
    root mean square."""
    source: dict[str, str]
    """What was read, as SHA-256 by name: of a file's bytes, of the names and digests of
    many files, or of how a split divided them."""
    note: str = ""
    """What a reader of the results must be told, such as that splits differ; or empty."""
    cache: Path | None = None
    """Folder of the arrays that were made of the set; None if there are none."""
    originals: Originals | None = None
    """The files that the cache was made of, to be compared with it; None if there is no
    cache, so that all files were read just now."""
    split_sha256: str = ""
    """SHA-256 of the names of the samples in each part; empty if the set has an official
    division."""
    geometry: Geometry | None = None
    """How its samples became these images; None if that is not known."""
    step_ms: float | None = None
    """Length of a time-step in milliseconds, the median over the training recordings; None
    where frames are not parts of equal time, or where that time is not known."""

    @property
    def events(self) -> bool:
        """Whether the images are frames of events: ``[N, T, C, H, W]``."""
        return self.train_images.ndim == 5

    def normalization(self, which: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the mean and deviation that ``Recipe.normalize`` names.

        Args:
            which: ``"own"``, or ``"authors"``: CIFAR-10's mean and the authors' deviation.

        Raises:
            ValueError: If `which` is neither, or the authors' three channels are not ours.
        """
        if which == "own":
            return self.mean, self.std
        if which != "authors" or len(self.mean) != 3:
            raise ValueError(
                f"`normalize` must be 'own', or for colour images 'authors', got {which!r} "
                f"for {self.name!r} with {len(self.mean)} channel(s)."
            )
        return AUTHORS

    def split(
        self, validation: int, seed: int
    ) -> tuple[Int64[Tensor, " train"], Int64[Tensor, " held"]]:
        """Divide the training images into those to learn from and those held out.

        Every class gives its share, rounded so that exactly `validation` images are held
        out (largest remainder; of equal remainders the lower class goes first).

        Args:
            validation: Images to hold out; 0 holds out none.
            seed: Names the split: the same seed always holds out the same images.

        Returns:
            Indices into ``train_images``, ascending: ``(train, validation)``.

        Raises:
            ValueError: If `validation` is negative or leaves nothing to train on.
        """
        labels = self.train_labels.numpy()
        if not 0 <= validation < len(labels):
            raise ValueError(
                f"`validation` must lie in [0, {len(labels)}) for {self.name!r}, which has "
                f"{len(labels)} training images, got {validation}. It must leave some to "
                f"train on."
            )
        classes, counts = np.unique(labels, return_counts=True)
        # RandomState, because NumPy promises that its stream never changes
        random = np.random.RandomState(seed)
        held = np.zeros(len(labels), dtype=bool)
        for label, share in zip(classes, _shares(counts, validation), strict=True):
            held[random.permutation(np.flatnonzero(labels == label))[:share]] = True
        train, validation_index = np.flatnonzero(~held), np.flatnonzero(held)
        return torch.from_numpy(train), torch.from_numpy(validation_index)


def _shares(counts: np.ndarray, total: int) -> np.ndarray:
    """Apportion `total` over classes of these sizes, by the largest remainder."""
    shares, remainders = np.divmod(counts * total, counts.sum())
    largest = np.argsort(-remainders, kind="stable")[: total - shares.sum()]
    shares[largest] += 1
    return shares


def refuse_other_size(title: str, side: int, image_size: int) -> None:
    """Refuse to scale a set whose images are taken as they are.

    Raises:
        ValueError: If `image_size` is neither 0 nor `side`.
    """
    if image_size not in (0, side):
        raise ValueError(
            f"`image_size` must be 0 or {side} for {title}, whose images are taken as they "
            f"are, got {image_size}."
        )


def pad(images: UInt8[Tensor, "N C H W"], size: int, title: str) -> Tensor:
    """Put images in the middle of squares of zeros.

    Args:
        images: Any size.
        size: Side of the squares, in pixels; 0 leaves the images as they are. Of an odd
            border the smaller half is above and to the left.
        title: Of the set, for the message.

    Raises:
        ValueError: If a square is smaller than the images.
    """
    height, width = images.shape[2:]
    if not size:
        return images
    if size < max(height, width):
        raise ValueError(
            f"`image_size` must be 0, for the {height} x {width} pixels of {title}, or at "
            f"least {max(height, width)}, for a border of zeros around them, got {size}. "
            f"They are never cut or scaled."
        )
    geometry = bordered(images.shape[1], (height, width), size)
    return torch.nn.functional.pad(images, geometry.border)
