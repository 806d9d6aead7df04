"""Random changes of recordings: whole batches at once, on the device that they are on.

Every sample draws its own change, which all its frames and both polarities get alike. A
change moves counts and drops what leaves the frame. It never adds counts up or blends
them, so that whole numbers stay whole and no count appears twice. `flip` and `cutout` of
`bntt.training.augment.images` take frames too.
"""

import torch
from jaxtyping import Float32, Int64, Shaped
from torch import Tensor
from torch.nn.functional import one_hot

from .images import cutout, flip, integers, uniform

FEWEST_BALLS, MOST_BALLS = 2, 4


def roll(
    frames: Shaped[Tensor, "N *F H W"], most: int, generator: torch.Generator
) -> Shaped[Tensor, "N *F H W"]:
    """Shift each sample by up to `most` pixels along each axis, around the edges.

    What leaves on one side comes back on the other, as ``torch.roll`` does, so that no
    event is lost (Li et al. 2022, Neuromorphic Data Augmentation).

    Args:
        frames: Any dtype; ``*F`` is frames and channels.
        most: Pixels, at least 0.
        generator: On the frames' device.

    Raises:
        ValueError: If `most` is negative or the generator is on another device.
    """
    return _taken(frames, _rolled(frames, most, generator))


def rotate(
    frames: Shaped[Tensor, "N *F H W"], degrees: float, generator: torch.Generator
) -> Shaped[Tensor, "N *F H W"]:
    """Turn each sample about its middle by up to `degrees`, either way.

    The turn is made of three shears by whole pixels (Paeth 1986), so that a pixel's count
    lands once or, outside the frame, nowhere: the nearest neighbours that Li et al. (2022)
    take repeat some counts and lose others. No pixel is 1.5 pixels or more from where the
    exact turn puts it. The corners that come into view are empty.

    Args:
        frames: Any dtype; ``*F`` is frames and channels.
        degrees: The largest angle, in [0, 90].
        generator: On the frames' device.

    Raises:
        ValueError: If `degrees` is out of range or the generator is on another device.
    """
    return _taken(frames, _rotated(frames, degrees, generator))


def shear(
    frames: Shaped[Tensor, "N *F H W"], degrees: float, generator: torch.Generator
) -> Shaped[Tensor, "N *F H W"]:
    """Slant each sample along its rows by up to `degrees`, either way (Li et al. 2022).

    Rows slide by whole pixels, the more the further from the middle one. What leaves the
    frame is lost and what comes into view is empty.

    Args:
        frames: Any dtype; ``*F`` is frames and channels.
        degrees: The largest angle between an upright line and its image, in [0, 90).
        generator: On the frames' device.

    Raises:
        ValueError: If `degrees` is out of range or the generator is on another device.
    """
    return _taken(frames, _sheared(frames, degrees, generator))


def nda(
    frames: Shaped[Tensor, "N *F H W"], generator: torch.Generator
) -> Shaped[Tensor, "N *F H W"]:
    """Change each sample as Neuromorphic Data Augmentation does (Li et al. 2022).

    A horizontal flip or none, with equal probability; then one of four changes, each as
    likely: `roll` by up to 5/48 of the width, `rotate` or `shear` by up to 30 degrees, or
    `cutout` of a square of a third of the width. Rolls, turns and shears are as strong as
    in the authors' code for CIFAR10-DVS, where they are 5 pixels of 48 and 30 degrees. That
    code leaves out the flip and the cutout, which the paper has; the square is the one of
    16 pixels of 48 that others take with these strengths.

    Args:
        frames: Any dtype; ``*F`` is frames and channels.
        generator: On the frames' device.

    Raises:
        ValueError: If the generator is on another device.
    """
    width = frames.shape[-1]
    flipped = flip(frames, generator)
    changes = (
        _rolled(frames, round(width * 5 / 48), generator),
        _rotated(frames, 30, generator),
        _sheared(frames, 30, generator),
        cutout(_pixels(frames), round(width / 3), generator),
    )
    chosen = integers(len(changes), (len(frames),), frames, generator)
    sample = torch.arange(len(frames), device=frames.device)
    return _taken(flipped, torch.stack(changes)[chosen, sample])


def mix(
    frames: Shaped[Tensor, "N T C H W"],
    labels: Int64[Tensor, " N"],
    generator: torch.Generator,
) -> tuple[
    Shaped[Tensor, "N T C H W"],
    Int64[Tensor, " N"],
    Int64[Tensor, " N"],
    Float32[Tensor, " N"],
]:
    """Fill a random region of each sample with another sample's events (EventMix).

    After Shen et al. (2022) and their code (M22 in ``docs/method.md``): the region is where
    a mixture of 2 to 4 Gaussian balls in time and space is densest, and its volume is any
    share of the whole, all equally likely. A ball's weight is uniform in [0, 1], its centre
    any voxel, its deviation along each axis half the axis times a uniform number, raised to
    at least 0.1. The labels mix by the number of events, each sample's counted as a share
    of its own, so that a sample of many events does not outweigh one of few: of ``a``,
    which keeps ``k`` of its events, and ``b``, of whose events ``m`` come in, both as
    shares, ``share = k / (k + m)``.

    Args:
        frames: Counts, at least 0, any dtype.
        labels: Classes.
        generator: On the frames' device.

    Returns:
        ``(frames, labels_a, labels_b, share)``: the mixed samples, their own labels, the
        labels of those mixed in, and the weight of the former, in [0, 1]: the loss is
        ``share * loss(labels_a) + (1 - share) * loss(labels_b)``. Of an empty sample the
        volume counts instead of the events; a mix without any event keeps its label.

    Raises:
        ValueError: If there is not one label per sample, a count is negative or no number,
            or the generator is on another device.
    """
    if len(labels) != len(frames):
        raise ValueError(
            f"`labels` must be one per sample, but there are {len(labels)} for "
            f"{len(frames)} samples: frames of shape {tuple(frames.shape)}, read as "
            f"(N, T, C, H, W)."
        )
    partner = uniform((len(frames),), frames, generator).argsort()
    if not (frames >= 0).all():
        raise ValueError(
            f"`frames` must be counts, at least 0, but the lowest is {frames.min()}. Mix "
            f"them before they are normalised."
        )
    inside = _region(frames, generator)
    others = frames[partner]
    mixed = torch.where(inside, others, frames)
    kept, taken = _part(frames, ~inside), _part(others, inside)
    share = torch.where(kept + taken > 0, kept / (kept + taken), 1.0)
    return mixed, labels, labels[partner], share


def probabilities(
    own: Int64[Tensor, " N"],
    other: Int64[Tensor, " N"],
    share: Float32[Tensor, " N"],
    classes: int,
) -> Float32[Tensor, "N K"]:
    """The labels of mixed samples as probabilities of the classes (M22).

    The cross-entropy with these is the mixture of the two cross-entropies that :func:`mix`
    speaks of, since it is linear in the labels.

    Args:
        own: The samples' own classes.
        other: The classes of the samples mixed in.
        share: The weight of the former, in [0, 1].
        classes: ``K``.
    """
    first, second = (one_hot(labels, classes) for labels in (own, other))
    return share[:, None] * first + (1 - share[:, None]) * second


def _region(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Mark the voxels of each sample to be replaced: ``[N, T, 1, H, W]``."""
    count, steps, _, height, width = frames.shape
    balls = FEWEST_BALLS + integers(
        MOST_BALLS - FEWEST_BALLS + 1, (count, 1), frames, generator
    )
    drawn = torch.arange(MOST_BALLS, device=frames.device) < balls
    weights = uniform((count, MOST_BALLS), frames, generator) * drawn
    t, y, x = (_bells(n, count, frames, generator) for n in (steps, height, width))
    density = torch.zeros(count, steps, height, width, device=frames.device)
    for k in range(MOST_BALLS):
        plane = y[:, k, :, None] * x[:, k, None, :]
        density += (weights[:, k, None] * t[:, k])[..., None, None] * plane[:, None]
    # what is denser than a voxel drawn at random: every volume is equally likely
    voxel = integers(steps * height * width, (count, 1), frames, generator)
    level = density.flatten(1).gather(1, voxel)
    return (density > level[..., None, None]).unsqueeze(2)


def _bells(length: int, count: int, frames: Tensor, generator: torch.Generator) -> Tensor:
    """Bell curves along one axis, one for each ball: ``[N, balls, length]``."""
    shape = (count, MOST_BALLS, 1)
    centre = integers(length, shape, frames, generator)
    deviation = uniform(shape, frames, generator).clamp(min=0.1) * length / 2
    position = torch.arange(length, device=frames.device)
    return torch.exp(-((position - centre) / deviation).square() / 2)


def _part(frames: Tensor, where: Tensor) -> Tensor:
    """The share of each sample's events that lie there; if it has none, of its volume."""
    # a sum of half precision runs over, or forgets the last events
    kind = torch.float32 if frames.is_floating_point() else torch.int64
    total = frames.flatten(1).sum(1, dtype=kind)
    there = (frames * where).flatten(1).sum(1, dtype=kind)
    volume = where.flatten(1).sum(1) / where.shape[1:].numel()
    return torch.where(total > 0, there / total, volume).float()


# A change is described by where each pixel comes from, [N, H, W]: its number, or 0 for
# nowhere. So four changes are one gather.


def _pixels(frames: Tensor) -> Tensor:
    """Each pixel's number, row by row from 1: the change that changes nothing."""
    height, width = frames.shape[-2:]
    numbers = torch.arange(1, height * width + 1, device=frames.device)
    return numbers.view(height, width).expand(len(frames), -1, -1)


def _rolled(frames: Tensor, most: int, generator: torch.Generator) -> Tensor:
    if most < 0:
        raise ValueError(f"`most` must not be negative, got {most}.")
    shape = (2, len(frames), 1, 1)
    down, right = integers(2 * most + 1, shape, frames, generator) - most
    height, width = frames.shape[-2:]
    y, x = _grid(frames)
    return _numbers((y - down) % height, (x - right) % width, frames)


def _rotated(frames: Tensor, degrees: float, generator: torch.Generator) -> Tensor:
    if not 0 <= degrees <= 90:
        raise ValueError(f"`degrees` must lie in [0, 90], got {degrees}.")
    angle = _angles(degrees, frames, generator)
    height, width = frames.shape[-2:]
    y, x = _grid(frames)
    x = x + _slide(torch.tan(angle / 2), y, height)
    y = y - _slide(torch.sin(angle), x, width)
    x = x + _slide(torch.tan(angle / 2), y, height)
    return _numbers(y, x, frames)


def _sheared(frames: Tensor, degrees: float, generator: torch.Generator) -> Tensor:
    if not 0 <= degrees < 90:
        raise ValueError(f"`degrees` must lie in [0, 90), got {degrees}.")
    slope = torch.tan(_angles(degrees, frames, generator))
    y, x = _grid(frames)
    return _numbers(y, x + _slide(slope, y, frames.shape[-2]), frames)


def _angles(degrees: float, frames: Tensor, generator: torch.Generator) -> Tensor:
    """Radians, uniform in plus or minus `degrees`: ``[N, 1, 1]``."""
    drawn = uniform((len(frames), 1, 1), frames, generator)
    return torch.deg2rad((2 * drawn - 1) * degrees)


def _grid(frames: Tensor) -> tuple[Tensor, Tensor]:
    height, width = frames.shape[-2:]
    y = torch.arange(height, device=frames.device).view(1, height, 1)
    return y, torch.arange(width, device=frames.device).view(1, 1, width)


def _slide(slope: Tensor, position: Tensor, length: int) -> Tensor:
    """Whole pixels that a line at a position slides: a shear about the middle."""
    return (slope * (position - (length - 1) / 2)).round().long()


def _numbers(y: Tensor, x: Tensor, frames: Tensor) -> Tensor:
    height, width = frames.shape[-2:]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    return torch.where(inside, y * width + x + 1, 0)


def _taken(frames: Tensor, source: Tensor) -> Tensor:
    """Move the pixels of every frame of a sample as `source` says."""
    # pixel 0 is the nothing that comes in from outside
    flat = torch.nn.functional.pad(frames.flatten(-2), (1, 0))
    index = source.flatten(1)
    for _ in frames.shape[1:-2]:
        index = index.unsqueeze(1)
    return flat.gather(-1, index.expand(*frames.shape[:-2], -1)).view(frames.shape)
