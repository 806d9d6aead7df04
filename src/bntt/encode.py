"""Images to spikes: ternary Poisson, direct current; events pass through (M14)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
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


ENCODERS = {"poisson": Poisson(), "direct": Direct()}


def make(name: str) -> Poisson | Direct:
    """The encoder called ``name`` in recipes: ``"poisson"`` or ``"direct"``.

    Raises:
        ValueError: If there is no such encoder.
    """
    if name not in ENCODERS:
        raise ValueError(f"Unknown encoder {name!r}. Known: {', '.join(ENCODERS)}.")
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
