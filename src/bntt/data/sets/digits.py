"""Scikit-learn's handwritten digits."""

import hashlib

import numpy as np
import torch
from jaxtyping import Float, Int64

from ..dataset import Dataset, refuse_other_size
from ..geometry import Geometry
from ..options import Request
from ..splits import names_sha256, refuse_split
from ..statistics import moments

LEVEL = 15
"""The scans' levels 0 to 16 are stored times this."""


def load_digits(request: Request) -> Dataset:
    """Load scikit-learn's 1,797 handwritten digits, one stratified fold as the test set.

    The pixels' 17 levels are stored times 15, as 0 to 240. The five folds test every image
    once; the writers are not separated between them.
    """
    refuse_split("digits", request.options.split)
    refuse_other_size("digits", 8, request.options.image_size)
    pixels, labels, sha256 = scans()
    train, test = fold_of(pixels, labels, request.options.fold)
    images = (pixels * LEVEL).astype(np.uint8)[:, None]
    train_images = torch.from_numpy(images[train])
    mean, std, _ = moments(train_images, "digits")
    return Dataset(
        name="digits",
        train_images=train_images,
        train_labels=torch.from_numpy(labels[train]),
        test_images=torch.from_numpy(images[test]),
        test_labels=torch.from_numpy(labels[test]),
        class_names=tuple("0123456789"),
        mean=mean,
        std=std,
        source={"sklearn-digits": sha256},
        split_sha256=names_sha256(map(str, train), map(str, test)),
        geometry=Geometry(channels=1, image_size=8),
    )


def scans() -> tuple[Float[np.ndarray, "N 8 8"], Int64[np.ndarray, " N"], str]:
    """Return the scans, 0 to 16 per pixel, their labels, and the SHA-256 of both.

    Raises:
        ImportError: If scikit-learn is not installed.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError(
            "The digits ship inside scikit-learn, which is not installed: "
            "pip install scikit-learn"
        ) from error
    pixels, labels = datasets.load_digits(return_X_y=True)
    labels = labels.astype(np.int64)
    # of the values, not of a file: where scikit-learn keeps that is its own affair
    values = (pixels * LEVEL).astype(np.uint8).tobytes() + labels.tobytes()
    return pixels.reshape(-1, 8, 8), labels, hashlib.sha256(values).hexdigest()


def fold_of(
    pixels: Float[np.ndarray, "N 8 8"], labels: Int64[np.ndarray, " N"], fold: int
) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " test"]]:
    """Return which scans train and which test in one of the five stratified folds.

    Raises:
        ValueError: If `fold` is not one of 0 to 4.
    """
    if not 0 <= fold <= 4:
        raise ValueError(f"`fold` must be one of the five folds 0 to 4, got {fold}.")
    from sklearn import model_selection

    folds = model_selection.StratifiedKFold(5, shuffle=True, random_state=0)
    return list(folds.split(pixels.reshape(len(pixels), -1), labels))[fold]
