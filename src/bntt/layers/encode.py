"""Coding: how images become input over time, by chance, directly or in pieces (M14)."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..choices import one_of
from ..ops.arguments import floats, has_values, number, whole_number
from ..ops.function import Function
from ..ops.reference import accumulator

FloatImages = Float[Tensor, "N C H W"]


@dataclass(frozen=True)
class Poisson:
    r"""Ternary rate coding of normalised images, as the authors' code does it (M14).

    .. math::
        s^t = \mathrm{sign}(x) \, [\, 2 r^t \le |x| \,], \qquad r^t \sim U[0, 1)

    so a pixel fires with probability ``min(|x| / rescale, 1)``, and its spike has its sign.
    Random numbers are drawn one time-step at a time, so that a sequence that comes in parts
    draws the same ones. They are float32 where images are narrower, because a draw in
    bfloat16 is 0 far too often.

    A drawn spike has no slope. Images that require a gradient therefore receive that of the
    expected spikes (M20), without which an attack or an attribution would find nothing.

    Args:
        rescale: The ``|x|`` from which a pixel fires at every time-step. Positive.
        backward: ``"straight_through"``, or ``"none"`` to refuse images that require a
            gradient.

    Raises:
        TypeError: If ``rescale`` is no number.
        ValueError: If ``rescale`` is not positive and finite, or ``backward`` is unknown.

    Example:
        >>> images = torch.tensor([0.5, -3.0]).reshape(1, 1, 1, 2).requires_grad_()
        >>> Poisson()(images, num_steps=4).mean(0).sum().backward()
        >>> images.grad.flatten()
        tensor([0.5000, 0.0000])
    """

    rescale: float = 2.0
    backward: str = "straight_through"

    def __post_init__(self) -> None:
        number("rescale", self.rescale)
        if not 0 < self.rescale < math.inf:
            raise ValueError(
                f"`rescale` must be positive, got {self.rescale}; and finite, or no pixel "
                f"ever fires."
            )
        one_of("`backward`", self.backward, ("straight_through", "none"))

    def steps(
        self, images: FloatImages, num_steps: int, generator: torch.Generator | None = None
    ) -> Iterator[FloatImages]:
        """One time-step of input after the other: -1, 0 or 1 for every pixel.

        Args:
            images: Normalised images, ``[N, C, H, W]``.
            num_steps: ``T``.
            generator: Source of the random numbers; torch's default one if omitted.

        Raises:
            TypeError: If an argument is of another type.
            ValueError: If the generator lives on another device, a pixel is NaN, or the
                images are no floating-point numbers.
        """
        whole_number("num_steps", num_steps, at_least=0)
        _check("Poisson()", images)
        _check_generator(images, generator)
        self._check_backward(images)
        fixed = images.detach()
        wide = accumulator(images.dtype)
        sign, size = fixed.sign(), fixed.abs().to(wide)
        scale = torch.full((), self.rescale, device=images.device, dtype=wide)
        source: dict[str, Any] = {} if generator is None else {"generator": generator}
        for _ in range(num_steps):
            # as contiguous NCHW: the order of the draws must not depend on the layout
            r = torch.rand(images.shape, device=images.device, dtype=wide, **source)
            yield _Fire.apply(images, sign, size, r, scale)  # pyright: ignore[reportReturnType]

    def __call__(
        self, images: FloatImages, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N C H W"]:
        """All time-steps of :meth:`steps` as one tensor."""
        whole_number("num_steps", num_steps, at_least=1)
        return torch.stack(list(self.steps(images, num_steps, generator)))

    def _check_backward(self, images: Tensor) -> None:
        wanted = images.requires_grad and torch.is_grad_enabled()
        if wanted and self.backward == "none":
            raise ValueError(
                "Poisson(backward='none') passes no gradient, but the images require one. "
                "Use backward='straight_through', the gradient of the expected spikes, or "
                "detach the images."
            )


class _Fire(Function):
    """One drawn time-step; backward uses the slope of its expectation (M20)."""

    @staticmethod
    def forward(images, sign, size, r, scale):
        return sign * (r * scale <= size)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _, _, size, _, scale = inputs
        ctx.save_for_backward(size, scale)

    @staticmethod
    def backward(ctx, grad):
        size, scale = ctx.saved_tensors
        return (grad / scale).where(size < scale, 0), None, None, None, None


@dataclass(frozen=True)
class Direct:
    """The image itself as input current, the same at every time-step (M14)."""

    def steps(
        self, images: FloatImages, num_steps: int, generator: torch.Generator | None = None
    ) -> Iterator[FloatImages]:
        """The images themselves, ``num_steps`` times."""
        whole_number("num_steps", num_steps, at_least=0)
        _check("Direct()", images)
        for _ in range(num_steps):
            yield images

    def __call__(
        self, images: FloatImages, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N C H W"]:
        """A view of the images with a leading time axis."""
        whole_number("num_steps", num_steps, at_least=1)
        _check("Direct()", images)
        return images.expand(num_steps, *images.shape)


class _AtOnce:
    """An encoder that makes the whole sequence at once, without cost in memory."""

    def steps(
        self, images: FloatImages, num_steps: int, generator: torch.Generator | None = None
    ) -> Iterator[Tensor]:
        """The time-steps of the whole sequence, one after the other."""
        return iter(self(images, num_steps, generator))

    def __call__(
        self, images: FloatImages, num_steps: int, generator: torch.Generator | None = None
    ) -> Tensor:
        """The whole sequence, time first."""
        raise TypeError(f"{type(self).__name__} codes nothing; use a subclass.")


@dataclass(frozen=True)
class EventFrames(_AtOnce):
    """No coding: the input consists of counts of events, one frame per time-step (M14)."""

    def __call__(
        self, images: FloatImages, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N C H W"]:
        """Refuse images, which have no events.

        Raises:
            ValueError: Always.
        """
        _check("EventFrames()", images)
        raise ValueError(
            f"A network for events takes frames [T, N, C, H, W], got images of shape "
            f"{tuple(images.shape)}. bntt.data.load gives frames [N, T, C, H, W], and "
            f"net.normalize(frames) puts time first."
        )


@dataclass(frozen=True)
class Rows(_AtOnce):
    """An image row by row: time-step ``t`` feeds row ``t`` of all channels (M14)."""

    def __call__(
        self, images: FloatImages, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N F"]:
        """The first ``num_steps`` rows, ``[N, C·W]`` each.

        Raises:
            ValueError: If an image has fewer rows.
        """
        _check("Rows()", images, axes=4)
        _check_pieces(num_steps, images.shape[2], "rows", images)
        return images.permute(2, 0, 1, 3).flatten(2)[:num_steps]


@dataclass(frozen=True)
class Pixels(_AtOnce):
    """An image pixel by pixel, in reading order or in a fixed random one (M14).

    Args:
        permutation: Seed of the order, the same for every image; None for reading order.

    Raises:
        TypeError: If the seed is no whole number.
        ValueError: If it is outside 0 to 2**32 - 1.
    """

    permutation: int | None = None

    def __post_init__(self) -> None:
        if self.permutation is None:
            return
        whole_number("permutation", self.permutation, at_least=0)
        if self.permutation >= 2**32:
            raise ValueError(
                f"`permutation` is a seed of NumPy's RandomState, at most 2**32 - 1, got "
                f"{self.permutation}."
            )

    def order(self, pixels: int) -> Int64[Tensor, " P"]:
        """The index of the pixel that comes at each time-step."""
        if self.permutation is None:
            return torch.arange(pixels)
        return torch.ops.bntt.permutation(self.permutation, pixels)

    def __call__(
        self, images: FloatImages, num_steps: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "T N F"]:
        """The first ``num_steps`` pixels, ``[N, C]`` each.

        Raises:
            ValueError: If an image has fewer pixels.
        """
        _check("Pixels()", images, axes=4)
        _check_pieces(num_steps, images.shape[2] * images.shape[3], "pixels", images)
        pixels = images.flatten(2).permute(2, 0, 1)
        return pixels[self.order(len(pixels))[:num_steps].to(images.device)]


def _permutation(seed: int, count: int) -> Tensor:
    # RandomState, because NumPy promises that its stream never changes
    order = np.random.RandomState(seed).permutation(count)
    return torch.from_numpy(order).long()


# an operator, because a traced graph cannot look into NumPy's generator
_LIBRARY = torch.library.Library("bntt", "FRAGMENT")
_LIBRARY.define("permutation(int seed, int count) -> Tensor")
_LIBRARY.impl("permutation", _permutation, "CompositeExplicitAutograd")
torch.library.register_fake(
    "bntt::permutation", lambda seed, count: torch.empty(count, dtype=torch.int64)
)

Encoder = Poisson | Direct | EventFrames | Rows | Pixels
ENCODERS: dict[str, type[Encoder]] = {
    "poisson": Poisson,
    "direct": Direct,
    "events": EventFrames,
    "rows": Rows,
    "pixels": Pixels,
}


def make(name: str, permutation: int = 0) -> Encoder:
    """The encoder that recipes call by this name.

    Args:
        name: ``"poisson"``, ``"direct"``, ``"events"``, ``"rows"``, ``"pixels"`` or
            ``"permuted"``.
        permutation: Seed of the order of ``"permuted"`` pixels; of no effect otherwise.

    Raises:
        ValueError: If there is no such encoder.
    """
    if name == "permuted":
        return Pixels(permutation)
    one_of("encoder", name, (*ENCODERS, "permuted"))
    return ENCODERS[name]()


def _check(encoder: str, images: Tensor, axes: int | None = None) -> None:
    read = "images (N, C, H, W)" if axes else "images (N, ...)"
    floats(encoder, images, read, axes or 0, axes)
    if has_values(images) and not torch.isfinite(images).all():
        raise ValueError(
            "The images hold NaN or infinity, which no coding can express. Check how they "
            "were read and normalised (a std of 0 divides by zero)."
        )


def _check_pieces(num_steps: int, pieces: int, name: str, images: Tensor) -> None:
    whole_number("num_steps", num_steps, at_least=1)
    if num_steps > pieces:
        raise ValueError(
            f"Images of shape {tuple(images.shape)} have {pieces} {name} each, but "
            f"num_steps is {num_steps}. Ask for {pieces} or fewer."
        )


def _check_generator(images: Tensor, generator: torch.Generator | None) -> None:
    if generator is None:
        return
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"`generator` must be a torch.Generator, got {generator!r}. From a seed: "
            f"torch.Generator().manual_seed(seed)."
        )
    if generator.device.type != images.device.type:
        raise ValueError(
            f"The generator must live where the images are, on {images.device}, but it is "
            f"on {generator.device}. Make it with "
            f'torch.Generator(device="{images.device.type}").'
        )
