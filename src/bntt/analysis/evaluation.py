"""What an evaluation found: the accuracy after every time-step, and on which data."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..data.catalogue import CATALOGUE

Z = 1.959963984540054
"""The normal distribution's two-sided 95 % quantile."""

INTERVAL = "Wilson score interval, 95 %, of the share of the test images"


@dataclass(frozen=True)
class Evaluation:
    """How often a network's answer is correct after each time-step."""

    dataset: str
    images: int
    """How many images were classified: all that the data hold."""
    seeds: tuple[int, ...]
    """Seeds of the encoder; every one of them is an evaluation of all images."""
    accuracy: tuple[tuple[float, ...], ...]
    """Share of the images classified correctly, in [0, 1], per seed and time-step."""
    batch_size: int
    precision: str
    device: str = ""
    trained_steps: int | None = None
    """How many of the first time-steps were trained; None if that is not known."""
    note: str = ""
    """What a reader must be told of the set, such as that its split is not official."""
    source: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the bytes that were read, by name."""
    split_sha256: str = ""
    """SHA-256 of which samples are in which part; empty if the division is official."""
    commit: str = ""
    warnings: tuple[str, ...] = ()
    """What a reader must know before believing the numbers."""
    file: str = ""
    """Where the evaluation was written; empty if it was not."""

    @property
    def mean(self) -> list[float]:
        """Mean accuracy over the seeds, per time-step, in [0, 1]."""
        return [statistics.fmean(step) for step in zip(*self.accuracy, strict=True)]

    @property
    def std(self) -> list[float] | None:
        """Sample standard deviation over the seeds, per time-step; None for one seed."""
        if len(self.seeds) < 2:
            return None
        return [statistics.stdev(step) for step in zip(*self.accuracy, strict=True)]

    @property
    def interval(self) -> list[tuple[float, float]]:
        """Where the accuracy on further images of this kind lies, per time-step.

        Wilson's score interval, 95 %. The images count once however many seeds there are,
        since every seed classifies the same ones.
        """
        return [wilson(share, self.images) for share in self.mean]

    @property
    def official(self) -> int:
        """Test images of the published set; 0 if it has no test set of its own."""
        return CATALOGUE[self.dataset].test if self.dataset in CATALOGUE else 0

    @property
    def whole(self) -> str:
        """Which images these are, in words: all, or a part of the published ones."""
        if self.official in (0, self.images):
            return f"all {self.images} test images of {self.dataset}"
        return f"{self.images} test images of {self.dataset}, which has {self.official:,}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            **asdict(self),
            "mean": self.mean,
            "spread": self.std,  # the name in files since the first version
            "interval": self.interval,
            "interval_kind": INTERVAL,
            "official_images": self.official or None,
            "num_steps": len(self.accuracy[0]),
        }

    def question(self) -> dict[str, Any]:
        """Those of the plain values that say what was asked, and on which data.

        Two evaluations with equal questions can take each other's place.
        """
        kept = self.to_dict()
        names = ("dataset", "images", "source", "split_sha256", "batch_size", "precision")
        asked = {"num_steps": len(self.accuracy[0]), "seeds": list(self.seeds)}
        return {name: kept[name] for name in names} | asked


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's score interval, 95 %, for a share of ``count`` independent cases.

    Args:
        share: The share that was observed, in [0, 1].
        count: Of how many cases; at least 1.

    Returns:
        The lower and the upper end, in [0, 1].
    """
    half = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    middle = share + Z * Z / (2 * count)
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
