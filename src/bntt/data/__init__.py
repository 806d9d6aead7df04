"""Image and event sets by name: `load` returns one whole, in memory or memory-mapped."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..choices import one_of
from .dataset import Dataset, Images
from .options import DataOptions, Request, refuse_root
from .sets.cifar import load_cifar10, load_cifar100
from .sets.cifar10_dvs import load_cifar10_dvs
from .sets.digits import load_digits
from .sets.digits_dvs import load_digits_dvs
from .sets.eventfolder import load_eventfolder
from .sets.gesture import load_gesture
from .sets.imagefolder import load_imagefolder
from .sets.mnist import load_fashion_mnist, load_mnist
from .sets.nmnist import load_nmnist
from .sets.npz import load_npz
from .sets.tiny_imagenet import load_tiny_imagenet

__all__ = ["NAMES", "DataOptions", "Dataset", "Images", "load"]

LOADERS: dict[str, Callable[[Request], Dataset]] = {
    "digits": load_digits,
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "tiny-imagenet": load_tiny_imagenet,
    "cifar10dvs": load_cifar10_dvs,
    "nmnist": load_nmnist,
    "dvs-gesture": load_gesture,
    "digits-dvs": load_digits_dvs,
    "imagefolder": load_imagefolder,
    "eventfolder": load_eventfolder,
    "npz": load_npz,
}
NAMES = tuple(LOADERS)


def load(
    name: str,
    root: str | Path | None = None,
    options: DataOptions | None = None,
    *,
    download: bool = True,
    quiet: bool = True,
    **named: Any,
) -> Dataset:
    """Load an image or event set by name.

    Args:
        name: One of ``NAMES``.
        root: Where the set lies: the folder of its files, the folder around that one, or
            the official archive where that is read directly. If omitted, the cache:
            ``$BNTT_DATA``, else the platform's cache folder. Sets that ship with a
            package take none.
        options: What of the set is wanted; if omitted, the defaults of `DataOptions`.
        download: Whether a set that is not in the cache may be downloaded. Nothing is ever
            downloaded into a `root` that was named.
        quiet: Whether to show no progress while a cache is built.
        named: Fields of `DataOptions` by their names, instead of those in `options`.

    Raises:
        ValueError: If a name or number is unknown or does not go with the set, or a file is
            not what was published.
        TypeError: If `named` has what is no field of `DataOptions`.
        FileNotFoundError: If the files, or some of them, are missing.
        ImportError: If a package that the set needs is not installed.
        ConnectionError: If the download fails.

    Example:
        >>> load("digits", fold=2).test_images.shape
        torch.Size([359, 1, 8, 8])
    """
    one_of("dataset", name, NAMES)
    options = replace(options or DataOptions(), **named)
    options.refuse_foreign(name)
    folder = None if root is None else Path(root)
    refuse_root(name, folder)
    return LOADERS[name](Request(folder, options, download, quiet))
