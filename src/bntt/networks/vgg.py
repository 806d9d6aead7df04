"""Spiking VGG networks: one class, and a plan of channels for each of them (M15)."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..choices import one_of
from ..layers.pool import average_pool
from ..ops.arguments import is_mapped
from .network import Network


@dataclass(frozen=True)
class Plan:
    """The layers of a VGG."""

    convs: str
    """3x3 convolutions by their channels; ``A`` is 2x2 average pooling of spikes."""
    hidden: int
    """Neurons of the hidden linear layer."""
    global_pool: bool = False
    """Whether the linear layers see the mean over all pixels, rather than each pixel."""

    @property
    def channels(self) -> list[int]:
        """Channels of each convolution."""
        return [int(entry) for entry in self.convs.split() if entry != "A"]

    @property
    def pooled(self) -> list[bool]:
        """Whether pooling follows each convolution."""
        entries = [*self.convs.split(), ""]
        pairs = zip(entries[:-1], entries[1:], strict=True)
        return [after == "A" for entry, after in pairs if entry != "A"]

    @property
    def shrink(self) -> int:
        """Pixels of the image, along one side, that become one pixel at the end."""
        return 2 ** sum(self.pooled)


PLANS = {
    "vgg5": Plan("64 A 128 128 A", hidden=512),
    "vgg7": Plan("64 A 128 A 256 256 A 512 A", hidden=512),
    "vgg9": Plan("64 64 A 128 128 A 256 256 256 A", hidden=1024),
    "vgg11": Plan("64 A 128 A 256 256 A 512 512 A 512 512", hidden=4096, global_pool=True),
}

IMAGE_ENCODERS = ("poisson", "direct", "events")


class Conv(nn.Conv2d):
    """A convolution that reads its weights channels last.

    PyTorch would convert them by itself, except where there is one channel, which makes
    both layouts alike; there it would take other kernels, which round differently.
    """

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of channels_last images."""
        weight = self.weight.to(memory_format=torch.channels_last)
        return self._conv_forward(input, weight, self.bias)


class VGG(Network):
    """A feed-forward spiking network: convolutions, a hidden linear layer, a read-out.

    Every layer but the last is followed by a temporal norm and LIF neurons; pooling
    averages spikes. Build one with :func:`vgg9`, :func:`vgg11`, :func:`vgg7`,
    :func:`vgg5`.
    """

    def __init__(self, arch: str, **config: Any) -> None:
        one_of("architecture", arch, PLANS)
        super().__init__(arch, **config)
        if self.encoder_name not in IMAGE_ENCODERS:
            raise ValueError(
                f"{arch} reads whole images at every time-step, but "
                f"encoder={self.encoder_name!r} cuts them up. Use one of "
                f"{', '.join(IMAGE_ENCODERS)}, or arch='seq'."
            )
        plan = PLANS[arch]
        _check_size(arch, self.image_size, plan.shrink, plan.global_pool)
        self.global_pool, self.pooled = plan.global_pool, plan.pooled
        self._build(plan)

    @property
    def layer_areas(self) -> list[int]:
        """Pixels of each layer; the hidden linear one, the last, has a single one."""
        side, areas = self.image_size, []
        for pooled in self.pooled:
            areas.append(side * side)
            side = side // 2 if pooled else side
        return [*areas, 1]

    def read(
        self, spikes: Float[Tensor, "T N C H W"], start: int | None = None
    ) -> Float[Tensor, "T N K"]:
        """The read-outs of single time-steps; see :meth:`Network.read`."""
        T, N = spikes.shape[:2]
        x = spikes.flatten(0, 1)
        if not is_mapped(x):  # vmap knows no layouts
            x = x.contiguous(memory_format=torch.channels_last)
        for conv, layer, pooled in zip(self.convs, self.layers, self.pooled, strict=False):
            x = layer(conv(x).unflatten(0, (T, N)), start=start).flatten(0, 1)
            x = average_pool(x) if pooled else x
        x = x.mean((2, 3)) if self.global_pool else x.flatten(1)
        x = self.layers[-1](self.hidden(x).unflatten(0, (T, N)), start=start)
        return self.output(x)

    def _build(self, plan: Plan) -> None:
        self.convs, self.layers = nn.ModuleList(), nn.ModuleList()
        channels = self.in_channels
        for width in plan.channels:
            self.convs.append(Conv(channels, width, 3, padding=1, bias=False))
            self.layers.append(self.layer(width))
            channels = width
        area = 1 if plan.global_pool else (self.image_size // plan.shrink) ** 2
        self.hidden = nn.Linear(channels * area, plan.hidden, bias=False)
        self.layers.append(self.layer(plan.hidden))
        self.output = nn.Linear(plan.hidden, self.num_classes, bias=False)
        self.draw_weights()


def vgg5(**config: Any) -> VGG:
    """Three convolutions and two linear layers, for small images.

    Arguments and errors are those of :func:`vgg9`; ``image_size`` must be a multiple of 4.
    """
    return VGG("vgg5", **config)


def vgg7(**config: Any) -> VGG:
    """Five convolutions and two linear layers, for events.

    The paper uses a network of this depth for CIFAR10-DVS without giving its channels, so
    these are ours. Arguments and errors are those of :func:`vgg9`; ``image_size`` must be a
    multiple of 16.
    """
    return VGG("vgg7", **config)


def vgg9(**config: Any) -> VGG:
    """VGG9 of Kim & Panda (2021): seven convolutions and two linear layers (M15).

    Args:
        config: ``num_classes``, ``num_steps`` and ``leak`` are required; ``in_channels=3``,
            ``image_size=32`` (divisible by 8), ``norm="bntt"`` (``"shared"``, ``"none"``),
            ``window=1`` (time-steps that share their statistics),
            ``encoder="poisson"`` (``"direct"``, ``"events"``), ``v_threshold=1.0``,
            ``surrogate=Triangle(0.3)``, ``mean``, ``std``, ``class_names``. All of them
            are kept in checkpoints; :class:`bntt.networks.config.NetworkConfig` lists the
            rest.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> net = vgg9(num_classes=10, num_steps=2, leak=0.95, image_size=8)
        >>> net(torch.randn(4, 3, 8, 8), per_step=True).shape
        torch.Size([2, 4, 10])
    """
    return VGG("vgg9", **config)


def vgg11(**config: Any) -> VGG:
    """VGG11 of Kim & Panda (2021), whose convolutions end in a global pool.

    Arguments and errors are those of :func:`vgg9`; any ``image_size`` from 16 fits.
    """
    return VGG("vgg11", **config)


def _check_size(arch: str, image_size: int, shrink: int, global_pool: bool) -> None:
    if image_size < shrink or (image_size % shrink and not global_pool):
        raise ValueError(
            f"{arch} halves its images {shrink.bit_length() - 1} times, so `image_size` "
            f"must be a multiple of {shrink}, got {image_size}. Crop or pad the images."
        )
