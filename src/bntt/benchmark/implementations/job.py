"""One measurement: of which implementation and network, in which precision and layout."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
}
LAYOUTS = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


class Layer(NamedTuple):
    """A convolution or, with ``size`` 0, a linear layer, and what follows it."""

    inputs: int
    outputs: int
    size: int
    """Side of the input and of the output, in pixels."""
    pooled: bool


@dataclass(frozen=True, kw_only=True)
class Job:
    """All that a process needs to know; plain values, so that it travels as JSON."""

    implementation: str
    kind: str = "time"
    passes: tuple[str, ...] = ("inference", "training")
    precision: str = "float32"
    layout: str = "channels_last"
    arch: str
    convs: str
    hidden: int
    global_pool: bool
    num_steps: int
    batch_size: int
    image_size: int
    in_channels: int = 3
    num_classes: int = 10
    leak: float = 0.95
    height: float = 0.3
    seconds: float = 1.0
    """Passes are repeated until they have taken so long."""
    keep_freed_memory: bool = True
    file: str = ""
    """Weights and spikes of an agreement check; the answer goes beside it."""

    @property
    def dtype(self) -> torch.dtype:
        """The type of the arithmetic."""
        return PRECISIONS[self.precision]

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of images and convolution weights."""
        return LAYOUTS[self.layout]

    @property
    def wide(self) -> torch.dtype:
        """The type of weights and images: bfloat16 comes from autocast, as users do it."""
        return torch.float64 if self.precision == "float64" else torch.float32

    def autocast(self) -> torch.autocast:
        """A context in which layers compute in bfloat16, if that is asked for."""
        enabled = self.precision == "bfloat16"
        return torch.autocast("cpu", torch.bfloat16, enabled=enabled)

    def convolutions(self) -> Iterator[Layer]:
        """The convolutions, in order."""
        channels, size, plan = self.in_channels, self.image_size, self.convs.split()
        for entry, following in zip(plan, [*plan[1:], ""], strict=True):
            if entry == "A":
                size //= 2
                continue
            yield Layer(channels, int(entry), size, following == "A")
            channels = int(entry)

    def linears(self) -> tuple[Layer, Layer]:
        """The hidden linear layer, and the one in front of the read-out."""
        last = list(self.convolutions())[-1]
        side = 1 if self.global_pool else last.size // (2 if last.pooled else 1)
        hidden = Layer(last.outputs * side**2, self.hidden, 0, False)
        return hidden, Layer(self.hidden, self.num_classes, 0, False)

    def neurons(self) -> int:
        """Spiking neurons: those of the convolutions and of the hidden layer."""
        return self.hidden + sum(c.outputs * c.size**2 for c in self.convolutions())

    def images(self) -> Tensor:
        """Made-up normalised images [N, C, H, W] in this job's layout, always the same."""
        shape = (self.batch_size, self.in_channels, self.image_size, self.image_size)
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        return images.to(self.wide).contiguous(memory_format=self.memory_format)

    def labels(self) -> Tensor:
        """Made-up labels, int64 [N]."""
        return torch.arange(self.batch_size) % self.num_classes


def poisson(images: Tensor) -> Tensor:
    """One time-step of ternary Poisson coding, as the BNTT authors write it."""
    return images.sign() * (torch.rand_like(images) * 2 <= images.abs())
