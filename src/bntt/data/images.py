"""What an image set is, how a validation split is drawn from it, and the digits."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

# the authors normalise both CIFAR sets with these; the deviations are not the pixels' own,
# which are 0.2470 0.2435 0.2616
AUTHORS = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))


@dataclass(frozen=True, eq=False)
class Dataset:
    """An image set in memory, and where it came from."""

    name: str
    train_images: UInt8[Tensor, "N C H W"]
    train_labels: Int64[Tensor, " N"]
    test_images: UInt8[Tensor, "M C H W"]
    test_labels: Int64[Tensor, " M"]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    """Of the training pixels divided by 255, per channel."""
    std: tuple[float, ...]
    """The same pixels' standard deviation."""
    source: dict[str, str]
    """SHA-256 of every file read, by its name."""

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


def load_digits(fold: int) -> Dataset:
    """Load scikit-learn's 1,797 handwritten digits, one stratified fold as the test set.

    The pixels' 17 levels are stored times 15, as 0 to 240. The five folds test every image
    once; the writers are not separated between them.
    """
    if not 0 <= fold <= 4:
        raise ValueError(f"`fold` must be one of the five folds 0 to 4, got {fold}.")
    try:
        from sklearn import datasets, model_selection
    except ImportError as error:
        raise ImportError(
            "The digits ship inside scikit-learn, which is not installed: "
            "pip install scikit-learn"
        ) from error
    pixels, labels = datasets.load_digits(return_X_y=True)
    folds = model_selection.StratifiedKFold(5, shuffle=True, random_state=0)
    train, test = list(folds.split(pixels, labels))[fold]
    images = (pixels * 15).astype(np.uint8).reshape(-1, 1, 8, 8)
    labels = labels.astype(np.int64)
    own = images[train] / 255
    # of the values, not of a file: where scikit-learn keeps that is its own affair
    sha256 = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    return Dataset(
        name="digits",
        train_images=torch.from_numpy(images[train]),
        train_labels=torch.from_numpy(labels[train]),
        test_images=torch.from_numpy(images[test]),
        test_labels=torch.from_numpy(labels[test]),
        class_names=tuple("0123456789"),
        mean=(round(float(own.mean()), 4),),
        std=(round(float(own.std()), 4),),
        source={"sklearn-digits": sha256},
    )
