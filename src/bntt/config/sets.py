"""What is known of the image and event sets by their names alone, before one is opened."""

from typing import Literal

SetName = Literal[
    "digits", "cifar10", "cifar100", "mnist", "fashion-mnist", "tiny-imagenet",
    "digits-dvs", "nmnist", "dvs-gesture", "cifar10dvs", "imagefolder", "eventfolder",
    "npz",
]  # fmt: skip
FrameRule = Literal["time", "count"]
"""How a recording is divided into frames: into equal times, or equal numbers of events."""
OutsideRule = Literal["refuse", "drop"]
"""What happens to events that lie outside the sensor."""
SplitName = Literal["none", "random-90-10", "first-900-train", "first-100-test"]
"""How a set without an official test set is divided."""

GREY = ("digits", "mnist", "fashion-mnist")
"""Image sets of one channel."""
EVENTS = ("digits-dvs", "nmnist", "dvs-gesture", "cifar10dvs", "eventfolder")
"""Sets whose samples are always frames of events."""
RECORDED = EVENTS[1:]
"""Event sets that are recordings in files."""
FOLDED = ("digits", "digits-dvs")
"""Sets without a test set of their own, which are divided into five folds."""
SHIPPED = FOLDED
"""Sets that come inside scikit-learn and are read from no folder."""
DEEP = ("imagefolder", "npz")
"""Sets whose files may have more than 8 bits a sample."""
AUTHORS = ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""By which the authors of BNTT normalise both CIFAR sets: CIFAR-10's mean, and deviations
that are not those of the pixels, which are 0.2470, 0.2435 and 0.2616."""
