"""Named divisions of a set that has no official one into training and test samples."""

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..choices import one_of

NONE = "none"


@dataclass(frozen=True, eq=False)
class Split:
    """Which samples are learned from, and which test; see `split`."""

    name: str
    seed: int
    train: np.ndarray
    """int64 indices, ascending."""
    test: np.ndarray
    """int64 indices, ascending."""
    description: str
    """Name, seed and sizes in one line, for a reader of the results."""
    names: Sequence[str]
    """Names of all samples, such as those of their files."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the names of the samples in each part; see `names_sha256`."""
        train, test = ([self.names[int(k)] for k in p] for p in (self.train, self.test))
        return names_sha256(train, test)

    @property
    def source(self) -> dict[str, str]:
        """The split's entry in ``Dataset.source``."""
        return {f"split {self.name} seed {self.seed}": self.sha256}

    @property
    def note(self) -> str:
        """The split's share of ``Dataset.note``."""
        return (
            f"Split {self.description}. The set has no official split: accuracies on "
            f"different splits cannot be compared."
        )


def names_sha256(train: Iterable[str], test: Iterable[str]) -> str:
    """Return the SHA-256 of which samples train and which test, in their order.

    A sample that is added, taken out, renamed or moved to the other part makes it another,
    even where as many remain in each.
    """
    lines = [*(f"train\0{name}\n" for name in train), *(f"test\0{name}\n" for name in test)]
    # names are bytes to the system, and not all of them are text
    text = unicodedata.normalize("NFC", "".join(lines))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def split(name: str, labels: np.ndarray, seed: int, names: Sequence[str] = ()) -> Split:
    """Divide samples into training and test ones by a named rule, class by class.

    ==================  ================================================================
    ``random-90-10``    a tenth of each class, drawn with `seed`, is the test set (rounded
                        half up, at least one)
    ``first-900-train`` the first 900 of each class train, all others test
    ``first-100-test``  the first 100 of each class test, all others train; the split of
                        TEBN (Duan 2022)
    ==================  ================================================================

    Args:
        name: One of these three.
        labels: Integer class of each sample, in the files' natural order: the numbers in
            their names compared as numbers.
        seed: Of ``random-90-10``, 0 to 2**32 - 1; the others have nothing to draw.
        names: Of the samples, such as their files'; if omitted, they are numbered from 0.

    Raises:
        ValueError: If `name` is none of these, or a class is too small for it.
    """
    if name == NONE:
        raise ValueError(
            f"This set has no test set of its own, and a `split` must be named: "
            f"{', '.join(SPLITS)}. CIFAR10-DVS too has no official split; accuracies on "
            f"different splits cannot be compared."
        )
    one_of("split", name, SPLITS)
    labels = np.asarray(labels)
    # RandomState, because NumPy promises that its stream never changes
    random = np.random.RandomState(seed)
    tests = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        chosen = SPLITS[name](members, random)
        if not 0 < len(chosen) < len(members):
            raise ValueError(_too_small(name, int(label), len(members)))
        tests[chosen] = True
    train, test = np.flatnonzero(~tests), np.flatnonzero(tests)
    drawn = f", seed {seed}" if name == "random-90-10" else ""
    counts = f"{len(train)} to train on and {len(test)} to test on"
    names = names or [str(k) for k in range(len(labels))]
    return Split(name, seed, train, test, f"{name}{drawn}: {counts}", names)


def refuse_split(set_name: str, name: str) -> None:
    """Refuse to divide a set that has a division of its own.

    Raises:
        ValueError: If `name` is not ``"none"``.
    """
    if name != NONE:
        raise ValueError(
            f"`split` divides sets without a test set of their own, but {set_name} has "
            f"one; got {name!r}. Leave `split` at {NONE!r}."
        )


def _tenth(members: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    return random.permutation(members)[: max(1, (len(members) + 5) // 10)]


SPLITS: dict[str, Callable[[np.ndarray, np.random.RandomState], np.ndarray]] = {
    "random-90-10": _tenth,
    "first-900-train": lambda members, _: members[900:],
    "first-100-test": lambda members, _: members[:100],
}
"""By name, what chooses the test samples among those of one class."""

SMALLEST = {"random-90-10": 2, "first-900-train": 901, "first-100-test": 101}


def _too_small(name: str, label: int, count: int) -> str:
    return (
        f"Split {name!r} needs at least {SMALLEST[name]} samples of each class, but class "
        f"{label} has {count}. Incomplete? Else 'random-90-10' divides any set whose "
        f"classes have two samples or more."
    )
