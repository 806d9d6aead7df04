"""Image sets, whole and in memory, as the networks take them."""

from pathlib import Path

from .cifar import load_cifar
from .images import Dataset, load_digits

__all__ = ["Dataset", "load"]

NAMES = ("digits", "cifar10", "cifar100")


def load(
    name: str, root: str | Path | None = None, *, fold: int = 0, download: bool = True
) -> Dataset:
    """Load an image set by name.

    Args:
        name: ``"digits"``, ``"cifar10"`` or ``"cifar100"``.
        root: Where a CIFAR set lies: the folder of its files, the folder around that one,
            or one that holds the official ``.tar.gz``, or that archive. If omitted, the
            cache: ``$BNTT_DATA``, else the platform's cache folder. ``digits`` ship inside
            scikit-learn and read no folder.
        fold: Which of the five folds of ``digits`` becomes the test set, 0 to 4.
        download: Whether a set that is not in the cache may be downloaded. Nothing is ever
            downloaded into a `root` that was named.

    Raises:
        ValueError: If the name or fold is unknown, or a file is not what was published.
        FileNotFoundError: If the files, or some of them, are missing.
        ImportError: If scikit-learn (digits) or pooch (download) is not installed.
        ConnectionError: If the download fails.
    """
    if name not in NAMES:
        raise ValueError(f"Unknown dataset {name!r}. Known: {', '.join(NAMES)}.")
    if name == "digits":
        return load_digits(fold)
    if fold:
        raise ValueError(
            f"`fold` divides 'digits' only, but {name!r} came with fold={fold}."
        )
    return load_cifar(name, None if root is None else Path(root), download)
