"""What of a set is wanted, and how its samples become images."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, no_type_check

from ..choices import said
from ..config.sets import (
    DEEP,
    FOLDED,
    RECORDED,
    SHIPPED,
    FrameRule,
    OutsideRule,
    SplitName,
)
from ..config.values import RANGES, checked, sensor_sides


@no_type_check  # any value may come, and `__post_init__` says what is wrong with it
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What of an image or event set is wanted; every field changes what is loaded.

    The fields have the names, the meaning and the ranges of the keys of a recipe.

    Raises:
        ValueError: If a value has another type, lies outside its range or is an unknown
            choice.

    Example:
        >>> DataOptions(frames="cuont")
        Traceback (most recent call last):
        ValueError: Unknown frames 'cuont'. Did you mean 'count'? Known: time, count.
    """

    fold: int = 0
    """Which of the five folds of ``digits`` and ``digits-dvs`` is the test set, 0 to 4."""
    num_steps: int = 10
    """Event sets: ``T``, the number of frames of each sample, at least 1."""
    image_size: int = 0
    """Side of the square images or frames, in pixels; 0 for the set's own."""
    white: int = 0
    """``imagefolder`` and ``npz``: the value that means white, and becomes 255, in pictures
    of more than 8 bits a sample; 255 to 65535, or 0 for the most that a file's own kind of
    numbers holds."""
    frames: FrameRule = "time"
    """Event sets: ``"time"`` divides a recording into equal times, ``"count"`` into equal
    numbers of events."""
    window_ms: int = 0
    """``eventfolder``: length, in milliseconds, of the samples that recordings are cut
    into; 0 takes every recording as one sample."""
    sensor: str = ""
    """``eventfolder``: columns and rows, such as ``"240x180"``, of the sensor of files that
    do not say it (``.bin``, ``.bs2``, ``.npz``); empty for what their kind implies."""
    outside: OutsideRule = "refuse"
    """Recordings: ``"refuse"`` events outside the sensor, or ``"drop"`` and count them."""
    split: SplitName = "none"
    """How a set without an official test set is divided, see `bntt.data.splits.split`;
    ``"none"`` for all other sets."""
    split_seed: int = 0
    """Seed of a random split, in [0, 2**32)."""

    def __post_init__(self) -> None:
        """Hold every value to its type and its range."""
        for field in fields(self):
            value = checked(field.name, field.type, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            holds, meaning = RANGES.get(field.name, (lambda _: True, ""))
            if not holds(value):
                raise ValueError(f"`{field.name}` must {meaning}, got {said(value)}.")
        sensor_sides(self.sensor)

    @classmethod
    def of(cls, recipe: Any) -> "DataOptions":
        """Return the options that a recipe names.

        Args:
            recipe: A `bntt.Recipe`, or anything else that has all fields as attributes.
        """
        return cls(**{field.name: getattr(recipe, field.name) for field in fields(cls)})

    @property
    def sensor_sides(self) -> tuple[int, int]:
        """Columns and rows of `sensor`; (0, 0) if none was named."""
        return sensor_sides(self.sensor)

    def refuse_foreign(self, name: str) -> None:
        """Refuse what the set `name` cannot give.

        Raises:
            ValueError: If an option differs from its default and belongs to other sets.
        """
        if self.fold and name not in FOLDED:
            raise ValueError(
                f"`fold` divides {' and '.join(FOLDED)} only, but {name!r} came with "
                f"fold={self.fold}. Leave it at 0."
            )
        if self.window_ms and name != "eventfolder":
            raise ValueError(
                f"`window_ms` cuts the recordings of 'eventfolder', but {name!r} has "
                f"samples of its own and came with window_ms={self.window_ms}. Leave it at "
                f"0."
            )
        if self.white and name not in DEEP:
            raise ValueError(
                f"`white` is for {' and '.join(DEEP)}, whose files may have more than 8 "
                f"bits, but {name!r} came with white={self.white}. Leave it at 0."
            )
        if self.sensor and name != "eventfolder":
            raise ValueError(
                f"`sensor` is of the recordings of 'eventfolder', but {name!r} came with "
                f"sensor={self.sensor!r}. Leave it out."
            )
        if self.outside != "refuse" and name not in RECORDED:
            raise ValueError(
                f"`outside` is for the recordings of {', '.join(RECORDED)}, but {name!r} "
                f"came with outside={self.outside!r}. Leave it out."
            )


class Request(NamedTuple):
    """What the loader of one set is asked for."""

    root: Path | None
    """What the user named: the set's folder, the one around it, or a file; None for the
    cache."""
    options: DataOptions
    download: bool
    """Whether a set that is not in the cache may be downloaded; it changes no image."""
    quiet: bool
    """Whether to show no progress; it changes no image either."""


def refuse_root(name: str, root: Path | None) -> None:
    """Refuse a folder for a set that is read from none.

    Raises:
        ValueError: If one was named all the same.
    """
    if root is not None and name in SHIPPED:
        raise ValueError(
            f"{name!r} ships inside scikit-learn and is read from no folder, but came with "
            f"{root}. Leave --data (or --from) out; pictures of your own go by the name of "
            f"imagefolder."
        )
