"""How a picture or a recording of any size becomes what a network looks at."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, get_type_hints

from ..choices import one_of
from ..config.values import sensor_sides

MOST = 1 << 16
"""The longest side, in pixels, for which a network is built."""
DEEPEST = (1 << 16) - 1
"""The largest number that 16 bits hold."""
LONGEST_MS = 1 << 40
"""The longest window that is taken, in milliseconds: far beyond any recording."""
NATIVE = {"digits": 8, "mnist": 28, "fashion-mnist": 28, "cifar10": 32, "cifar100": 32}
"""Side, in pixels, of the pictures of those sets that are never scaled."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What training made of its samples, for others to be treated alike.

    The largest part in the middle of a picture that has the shape `height` x `width` is
    scaled to that many pixels, and a border of zeros makes a square of it.

    Raises:
        ValueError: If a value has another type, or lies outside its range.
    """

    channels: int
    """1 for grey, 3 for red, green and blue, 2 for OFF and ON events."""
    image_size: int
    """Side of the square, in pixels."""
    height: int = 0
    """Rows within the border; 0 for all of the square."""
    width: int = 0
    """Columns within the border; 0 for all of the square."""
    white: int = 0
    """The value that became 255 in pictures of more than 8 bits; 0 for the most that a
    file's own kind of numbers holds."""
    sensor: str = ""
    """Events: columns and rows of the sensor, such as ``"240x180"``; empty if they differ
    between recordings, or of pictures."""
    frames: str = ""
    """Events: ``"time"`` or ``"count"``, by which recordings were divided; empty of
    pictures."""
    window_ms: int = 0
    """Events: milliseconds of a sample that was cut out of a recording; 0 if none was."""

    def __post_init__(self) -> None:
        """Hold every value to its type and its range."""
        for name, kind in get_type_hints(type(self)).items():
            value = getattr(self, name)
            if type(value) is not kind:
                raise ValueError(
                    f"`{name}` of a geometry must be of type {kind.__name__}, "
                    f"got {value!r}."
                )
        _within("channels", self.channels, 1, MOST)
        _within("image_size", self.image_size, 1, MOST)
        _within("height", self.height, 0, self.image_size)
        _within("width", self.width, 0, self.image_size)
        sensor_sides(self.sensor)
        one_of("`frames` of a geometry", self.frames, ("", "time", "count"))
        _within("window_ms", self.window_ms, 0, LONGEST_MS)
        if self.white:
            _within("white", self.white, 255, DEEPEST)

    @property
    def inner(self) -> tuple[int, int]:
        """Rows and columns within the border."""
        return self.height or self.image_size, self.width or self.image_size

    @property
    def border(self) -> tuple[int, int, int, int]:
        """Pixels of zeros at the left, right, top and bottom.

        Of an odd border the smaller half is above and to the left.
        """
        height, width = self.inner
        left, top = (self.image_size - width) // 2, (self.image_size - height) // 2
        return left, self.image_size - width - left, top, self.image_size - height - top

    @property
    def inside(self) -> tuple[slice, slice]:
        """Which rows and columns of the square lie within the border."""
        left, _, top, _ = self.border
        height, width = self.inner
        return slice(top, top + height), slice(left, left + width)

    def to_config(self) -> dict[str, Any]:
        """Plain values from which `from_config` makes an equal geometry."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Geometry":
        """Make the geometry that `to_config` described.

        Raises:
            ValueError: If it is no mapping, a key is unknown or missing, or a value has
                another type or lies outside its range.
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"A geometry must be a table of values, got {config!r}.")
        known = {field.name for field in fields(cls)}
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        if unknown := sorted(map(str, set(config) - known)):
            raise ValueError(
                f"A geometry has no {', '.join(unknown)}, but {', '.join(sorted(known))}."
            )
        if missing := sorted(needed - set(config)):
            raise ValueError(f"A geometry must say {', '.join(missing)}, but does not.")
        return cls(**config)


def bordered(
    channels: int, sides: tuple[int, int], image_size: int, white: int = 0
) -> Geometry:
    """Return the geometry of pictures that get a border of zeros and are never scaled.

    Args:
        channels: Of the pictures.
        sides: Their height and width.
        image_size: Side of the square that they become; 0 for the longer of theirs.
        white: As `Geometry.white`.
    """
    size = image_size or max(sides)
    height, width = sides
    return Geometry(
        channels=channels, image_size=size, height=height, width=width, white=white
    )


def of_squares(shape: tuple[int, int, int], white: int = 0) -> Geometry | None:
    """Return the geometry of pictures that are scaled to this shape, if it is a square.

    Args:
        shape: Channels, height and width.
        white: As `Geometry.white`.
    """
    channels, height, width = shape
    if height != width:
        return None
    return Geometry(channels=channels, image_size=height, white=white)


def recalled(dataset: str, channels: int, image_size: int) -> Geometry:
    """Return the geometry of a network whose checkpoint is too old to say it.

    Args:
        dataset: Name of the set that it was trained on.
        channels: Of the network.
        image_size: Of the network, in pixels.
    """
    # sets of other names are scaled to the size of the network
    side = min(NATIVE.get(dataset, image_size), image_size)
    return Geometry(channels=channels, image_size=image_size, height=side, width=side)


def _within(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise ValueError(
            f"`{name}` of a geometry must lie in [{lowest}, {highest}], got {value}."
        )
