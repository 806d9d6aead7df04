"""Images to input over time: Poisson, direct, in pieces; events pass through (M14)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

Images = Float[Tensor, "N C H W"]


@dataclass(frozen=True)
class Poisson:
    r"""Ternary rate coding of normalised images, as the authors' code does it (M14).

    .. math::
        s^t = \mathrm{sign}(x) \, [\, 2 r^t \le |x| \,], \qquad r^t \sim U[0, 1)

    so a pixel fires with probability ``min(|x| / rescale, 1)``, with its sign. Random
    numbers are drawn one time-step at a time, so chunks of time draw the same.

    Args:
        rescale: The ``|x|`` from which a pixel fires at every time-step. Positive.

    Raises:
        ValueError: If ``rescale`` is not positive.
    """

    rescale: float = 2.0

    def __post_init__(self) -> None:
        if not self.rescale > 0:
            raise ValueError(f"`rescale` must be positive, got {self.rescale}.")

    def steps(
        self, images: Images, num_steps: int, generator: torch.Generator | None = None
    ) -> Iterator[Images]:
        """One time-step of input after the other.

        Args:
            images: Normalised images.
            num_steps: ``T``.
            generator: Where random numbers come from; torch's default one if omitted.

        Raises:
            ValueError: If the generator lives on another device, or a pixel is NaN.
        """
        _check(images, generator)
        sign, size = images.sign(), images.abs()
        for _ in range(num_steps):
            # as contiguous NCHW: the order of the draws must not depend on the layout
            r = torch.rand(
                images.shape, generator=generator, device=images.device, dtype=images.dtype
            )
            yield sign * (r * self.rescale <= size)

    def __call__(
        self, images: Images, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N C H W"]:
        """All time-steps of :meth:`steps`."""
        return torch.stack(list(self.steps(images, num_steps, generator)))


@dataclass(frozen=True)
class Direct:
    """The image itself as input current, the same at every time-step (M14)."""

    def steps(
        self, images: Images, num_steps: int, generator: torch.Generator | None = None
    ) -> Iterator[Images]:
        """The images, ``num_steps`` times."""
        _check(images, None)
        for _ in range(num_steps):
            yield images

    def __call__(
        self, images: Images, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N C H W"]:
        """A view of the images with a leading time axis."""
        _check(images, None)
        return images.expand(num_steps, *images.shape)


class _AtOnce:
    """An encoder whose whole sequence costs no more than its steps."""

    def steps(
        self, images: Images, num_steps: int, generator: torch.Generator | None = None
    ) -> Iterator[Tensor]:
        """One time-step of the whole after the other."""
        return iter(self(images, num_steps, generator))

    def __call__(
        self, images: Images, num_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """All time-steps."""
        raise TypeError(f"{type(self).__name__} codes nothing; use a subclass.")


@dataclass(frozen=True)
class Events(_AtOnce):
    """No coding: what is fed is counts of events, one frame per time-step (M14)."""

    def __call__(
        self, images: Images, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N C H W"]:
        """Refuse: an image has no events.

        Raises:
            ValueError: Always.
        """
        raise ValueError(
            f"A network for events takes frames [T, N, C, H, W], got images of shape "
            f"{tuple(images.shape)}. bntt.data.load gives frames [N, T, C, H, W], and "
            f"net.normalize(frames) puts time first."
        )


@dataclass(frozen=True)
class Rows(_AtOnce):
    """An image row by row: time-step ``t`` feeds row ``t``, all channels (M14)."""

    def __call__(
        self, images: Images, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N F"]:
        """The first ``num_steps`` rows, ``[N, C·W]`` each."""
        _check(images, None)
        return images.permute(2, 0, 1, 3).flatten(2)[:num_steps]


@dataclass(frozen=True)
class Pixels(_AtOnce):
    """An image pixel by pixel, in reading order or in a fixed random one (M14).

    Args:
        permutation: Seed of the order, the same for every image; None for reading order.
    """

    permutation: int | None = None

    def order(self, pixels: int) -> Int64[Tensor, " P"]:
        """Which pixel comes when."""
        if self.permutation is None:
            return torch.arange(pixels)
        # RandomState, because NumPy promises that its stream never changes
        order = np.random.RandomState(self.permutation).permutation(pixels)
        return torch.from_numpy(order).long()

    def __call__(
        self, images: Images, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N F"]:
        """The first ``num_steps`` pixels, ``[N, C]`` each."""
        _check(images, None)
        pixels = images.flatten(2).permute(2, 0, 1)
        return pixels[self.order(len(pixels))[:num_steps].to(images.device)]


Encoder = Poisson | Direct | Events | Rows | Pixels
ENCODERS: dict[str, Encoder] = {
    "poisson": Poisson(),
    "direct": Direct(),
    "events": Events(),
    "rows": Rows(),
    "pixels": Pixels(),
}


def make(name: str, permutation: int = 0) -> Encoder:
    """The encoder of that name in recipes.

    Args:
        name: ``"poisson"``, ``"direct"``, ``"events"``, ``"rows"``, ``"pixels"`` or
            ``"permuted"``.
        permutation: The seed of the order of ``"permuted"`` pixels.

    Raises:
        ValueError: If there is no such encoder.
    """
    if name == "permuted":
        return Pixels(permutation)
    if name not in ENCODERS:
        known = ", ".join((*ENCODERS, "permuted"))
        raise ValueError(f"Unknown encoder {name!r}. Known: {known}.")
    return ENCODERS[name]


def _check(images: Tensor, generator: torch.Generator | None) -> None:
    if generator is not None and generator.device.type != images.device.type:
        raise ValueError(
            f"The generator must live where the images are, on {images.device}, but it is "
            f"on {generator.device}. Make it with "
            f'torch.Generator(device="{images.device.type}").'
        )
    if not torch.isfinite(images).all():
        raise ValueError(
            "The images hold NaN or infinity, which no coding can express. Check how they "
            "were read and normalised (a std of 0 divides by zero)."
        )
