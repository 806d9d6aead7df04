r"""Events of a still image that a moving sensor would record.

N-MNIST (Orchard 2015) was recorded by turning an event camera before a screen in three
quick moves, saccades, that trace a triangle. Here the same is computed, for images of any
size.

The sensor has twice the image's pixels each way; ``scene(p)`` is the image between its
pixels, bilinear, dark beyond its edges. Sensor pixel ``p`` sees at time ``t``

.. math::
    L(p, t) = \log(\mathrm{scene}(p + o(t)) + \epsilon)

where ``o(t)`` runs along the triangle at constant speed. The pixel remembers the value
``r`` of its last event, at first ``L(p, 0)``. When ``L`` has risen to ``r`` plus the
threshold it emits an ON event and adds the threshold to ``r``; when it has fallen as far,
an OFF event, and subtracts it. ``L`` is computed at `SAMPLES` times per saccade and is
linear in between, which gives each event its microsecond.

Everything after the logarithm is in whole numbers, so that the events are the same on every
machine.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int32

from .recording import Events

SCALE = 2
"""Number of sensor pixels for each image pixel, along each side."""
CORNERS = ((0, 0), (2, 4), (4, 0), (0, 0))
"""``(x, y)`` of the triangle in sensor pixels; its middle lies on the image's."""
SACCADE_US = 100_000
"""Duration of one side of the triangle in microseconds."""
SAMPLES = 32
"""Times per saccade at which the light is computed; a power of two keeps places exact."""
DARK = 0.1
"""``ε``: the light of a black pixel, as a share of a white one's."""
THRESHOLD = 0.25
"""Change of log intensity that makes an event."""

GRAINS = 1024
"""Log intensity is kept in whole numbers, of which so many make a threshold."""
LEVELS = 1 << 14
"""Light is kept in so many steps from black to white; the digits' own steps are coarser."""
TOGETHER = 128
"""Images simulated at once: few enough for the processor's cache."""

_SHADES = np.log(np.arange(LEVELS + 1) / LEVELS + DARK)
LOG = np.rint(_SHADES * (GRAINS / THRESHOLD)).astype(np.int32)
"""Log intensity of every level, in grains."""


def saccade(image: Float[np.ndarray, "H W"]) -> Events:
    """Return the events of one image; the module's text has the equations.

    Args:
        image: Light per pixel, 0 to 1; row 0 is the top.

    Returns:
        Events in order of time, from 0 to 300,000 microseconds, on a sensor of twice the
        image's width and height.

    Raises:
        ValueError: If a pixel lies outside 0 to 1.
    """
    return next(saccades(image[None]))


def saccades(images: Float[np.ndarray, "N H W"]) -> Iterator[Events]:
    """Yield the events of each image in turn; see `saccade`."""
    if images.size and not (images.min() >= 0 and images.max() <= 1):  # NaN is outside too
        raise ValueError(
            f"Light must lie in 0 to 1, but the images run from {images.min()} to "
            f"{images.max()}. Divide by their white."
        )
    for first in range(0, len(images), TOGETHER):
        yield from _simulate(images[first : first + TOGETHER])


def _simulate(images: np.ndarray) -> Iterator[Events]:
    height, width = (SCALE * side for side in images.shape[1:])
    views, found = _views(images), []
    before = next(views)
    level = before.copy()
    for sample, light in enumerate(views):
        found.append(_fire(before, light, level, sample))
        before = light
    where, t, polarity = (np.concatenate(part) for part in zip(*found, strict=True))
    image, pixel = np.divmod(where, height * width)
    longest = (len(CORNERS) - 1) * SACCADE_US
    order = np.argsort(image * (longest + 1) + t, kind="stable")
    ends = np.cumsum(np.bincount(image, minlength=len(images)))[:-1]
    for mine in np.split(order, ends):
        y, x = np.divmod(pixel[mine], width)
        yield Events(
            x=x.astype(np.uint16),
            y=y.astype(np.uint16),
            t=t[mine],
            polarity=polarity[mine],
            width=width,
            height=height,
        )


def _fire(
    before: np.ndarray, light: np.ndarray, level: np.ndarray, sample: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Let every pixel emit what it owes between two samples; `level` moves along.

    Returns:
        Flat pixel number, microsecond and polarity of each event.
    """
    change = light - level
    owed = np.abs(change) // GRAINS
    pixel = np.flatnonzero(owed)
    owed, sign = owed[pixel], np.sign(change[pixel])
    start, gone = before[pixel].astype(np.int64), light[pixel] - before[pixel]
    crossing = level[pixel] - start
    level[pixel] += sign * owed * GRAINS
    each = np.repeat(np.arange(len(pixel)), owed)
    nth = np.arange(len(each)) - np.repeat(np.cumsum(owed) - owed, owed) + 1
    crossing = crossing[each] + sign[each] * nth * GRAINS
    # the share of the sample's time after which the line reaches the crossing
    t = (sample * SACCADE_US + crossing * SACCADE_US // gone[each]) // SAMPLES
    return pixel[each], t, (sign[each] > 0).astype(np.uint8)


def _views(images: np.ndarray) -> Iterator[Int32[np.ndarray, " P"]]:
    """Yield what all pixels of all images see at each sample, in grains, flat."""
    corners = np.array(CORNERS) - (np.max(CORNERS, axis=0) + np.min(CORNERS, axis=0)) / 2
    offsets = [
        start + (stop - start) * k / SAMPLES
        for start, stop in zip(corners, corners[1:], strict=False)
        for k in range(SAMPLES)
    ]
    _, height, width = images.shape
    for x, y in [*offsets, corners[-1]]:
        # sums of products of few bits, exact in any order
        light = _weights(height, y) @ images @ _weights(width, x).T
        yield LOG[np.rint(light * LEVELS).astype(np.int32)].ravel()


def _weights(length: int, offset: float) -> Float[np.ndarray, "sensor image"]:
    """How much each sensor pixel along one side sees of each image pixel."""
    place = (np.arange(length * SCALE) + offset + 0.5) / SCALE - 0.5
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(length)))
