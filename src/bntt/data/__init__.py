"""Image and event sets, whole and in memory or memory-mapped, as the networks take them."""

from collections.abc import Callable
from pathlib import Path

from ..choices import one_of
from ..config.recipe import FOLDED, RECORDED
from ..config.values import sensor_sides
from .dataset import Dataset, Images, Wanted
from .images.levels import LEAST, MOST
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

__all__ = ["NAMES", "Dataset", "Images", "load"]

LOADERS: dict[str, Callable[[Path | None, Wanted], Dataset]] = {
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
DEEP = ("imagefolder", "npz")
"""Sets whose files may have more than 8 bits a sample."""
SHIPPED = ("digits", "digits-dvs")
"""Sets that lie in no folder."""


def load(
    name: str,
    root: str | Path | None = None,
    *,
    fold: int = 0,
    num_steps: int = 10,
    image_size: int = 0,
    frames: str = "time",
    window_ms: int = 0,
    sensor: str = "",
    outside: str = "refuse",
    white: int = 0,
    split: str = "none",
    split_seed: int = 0,
    download: bool = True,
    quiet: bool = True,
) -> Dataset:
    """Load an image or event set by name.

    Args:
        name: One of ``NAMES``.
        root: Where the set lies: the folder of its files, the folder around that one, or
            the official archive where that is read directly. If omitted, the cache:
            ``$BNTT_DATA``, else the platform's cache folder. Sets that ship with a
            package take none.
        fold: Which of the five folds of ``digits`` and ``digits-dvs`` becomes the test
            set, 0 to 4.
        num_steps: Events: frames per recording, ``T``.
        image_size: Side of the images or frames in pixels; 0 for the set's own.
        frames: Events: ``"time"`` divides a recording into equal times, ``"count"`` into
            equal numbers of events.
        window_ms: ``eventfolder``: cut recordings into samples of so many milliseconds; 0
            takes each recording as one.
        sensor: ``eventfolder``: width and height, such as ``"240x180"``, of the sensor of
            files that do not say it; if omitted, what their kind implies.
        outside: Recordings: ``"refuse"`` events outside the sensor, or ``"drop"`` and
            count them.
        white: ``imagefolder`` and ``npz``: the value that means white, and becomes 255, in
            pictures of more than 8 bits; 0 for the most that a file's own kind of numbers
            holds.
        sensor: ``eventfolder``: width and height, such as ``"240x180"``, of the sensor of
            files that do not say it (``.bin``, ``.bs2``, ``.npz``).
        outside: Recordings: ``"refuse"`` events outside the sensor, or ``"drop"`` and
            count them.
        split: For sets that have no official one: ``"random-90-10"``,
            ``"first-900-train"`` or ``"first-100-test"``; ``"none"`` for all others.
        split_seed: Of a random split.
        download: Whether a set that is not in the cache may be downloaded. Nothing is ever
            downloaded into a `root` that was named.
        quiet: Whether to show no progress while a cache is built.

    Raises:
        ValueError: If a name or number is unknown or does not go with the set, or a file is
            not what was published.
        FileNotFoundError: If the files, or some of them, are missing.
        ImportError: If a package that the set needs is not installed.
        ConnectionError: If the download fails.
    """
    one_of("dataset", name, NAMES)
    if fold and name not in FOLDED:
        raise ValueError(
            f"`fold` divides {' and '.join(FOLDED)} only, but {name!r} came with "
            f"fold={fold}."
        )
    if window_ms and name != "eventfolder":
        raise ValueError(
            f"`window_ms` cuts the recordings of 'eventfolder', but {name!r} has samples "
            f"of its own and came with window_ms={window_ms}. Leave it at 0."
        )
    if white and name not in DEEP:
        raise ValueError(
            f"`white` is for {' and '.join(DEEP)}, whose files may have more than 8 bits, "
            f"but {name!r} came with white={white}. Leave it at 0."
        )
    if white and not LEAST <= white <= MOST:
        raise ValueError(
            f"`white` must be 0, or lie in [{LEAST}, {MOST}], got {white}: it is the value "
            f"that means white in pictures of more than 8 bits, such as 4095."
        )
    if root is not None and name in SHIPPED:
        raise ValueError(
            f"{name!r} ships inside scikit-learn and is read from no folder, but came with "
            f"{root}. Leave --data (or --from) out; pictures of your own go by the name of "
            f"imagefolder."
        )
    one_of("choice for `outside`", outside, ("refuse", "drop"))
    if sensor and name != "eventfolder":
        raise ValueError(
            f"`sensor` is of the recordings of 'eventfolder', but {name!r} came with "
            f"sensor={sensor!r}. Leave it out."
        )
    if outside != "refuse" and name not in RECORDED:
        raise ValueError(
            f"`outside` is for the recordings of {', '.join(RECORDED)}, but {name!r} came "
            f"with outside={outside!r}. Leave it out."
        )
    wanted = Wanted(
        fold=fold,
        num_steps=num_steps,
        image_size=image_size,
        frames=frames,
        window_ms=window_ms,
        sensor=sensor_sides(sensor),
        outside=outside,
        white=white,
        split=split,
        split_seed=split_seed,
        download=download,
        quiet=quiet,
    )
    return LOADERS[name](None if root is None else Path(root), wanted)
