"""The user's own recordings, cut and counted as those that a network learned from."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from .config import Recipe
from .config.values import sensor_sides
from .data.dataset import Wanted
from .data.geometry import Geometry
from .data.places import check_file
from .data.single_file import Part, parts_of, sensor_is_guessed


def read_parts(
    path: str | Path, recipe: Recipe, size: int, geometry: Geometry | None = None
) -> list[Part]:
    """Read a recording for a network for events.

    It is read as the set that the network was trained on, or, for a set of one's own, by
    the ending of its name; cut into windows if the recipe says so, and counted into one
    frame per time-step.

    Args:
        path: The file.
        recipe: Of the run: its set, time-steps, frames and windows, and the sensor.
        size: Side of the network's frames, in pixels.
        geometry: Of the network, which knows the sensor of training recordings that say it
            themselves, and the size of its frames within their border.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no recording, or as :func:`bntt.data.single_file.parts_of`.
    """
    path = Path(path)
    advice = "Name the files of an event camera, such as those that docs/events.md lists."
    check_file(path, "a recording", advice)
    within = max(geometry.inner) if geometry else size
    wanted = Wanted(
        num_steps=recipe.num_steps,
        image_size=within,
        frames=recipe.frames,
        window_ms=recipe.window_ms,
        sensor=sensor_sides(recipe.sensor or (geometry.sensor if geometry else "")),
        outside=recipe.outside,
    )
    parts = parts_of(path, recipe.dataset, wanted)
    if within < size:
        parts = [part._replace(frames=_bordered(part.frames, size)) for part in parts]
    if not sensor_is_guessed(path, recipe.dataset, wanted):
        return parts
    return [part._replace(note=f"{GUESSED} {part.note}".rstrip()) for part in parts]


def _bordered(
    frames: UInt8[np.ndarray, "T 2 s s"], size: int
) -> UInt8[np.ndarray, "T 2 S S"]:
    side = frames.shape[-1]
    whole = np.zeros((*frames.shape[:2], size, size), dtype=np.uint8)
    place = Geometry(channels=2, image_size=size, height=side, width=side).inside
    whole[:, :, *place] = frames
    return whole


GUESSED = (
    "This file does not say of what sensor it is: it was taken to reach as far as its own "
    "events, which moves them if the training recordings reached further."
)
