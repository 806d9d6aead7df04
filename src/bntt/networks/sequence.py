"""Spiking networks for sequences: linear layers with synaptic delays (M18)."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..choices import one_of
from .network import Network

DELAYS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "seq": ((256, 5, 1), (256, 5, 1)),
    "seq-long": ((128, 8, 1), (128, 8, 8), (128, 8, 64)),
}
"""For each hidden layer its width, its taps, and the time-steps between two taps."""

SEQUENCE_ENCODERS = ("rows", "pixels", "permuted")


class Delayed(nn.Linear):
    r"""A linear layer that sees its input at several delays (M18).

    .. math::
        z^t = \sum_{k=0}^{K-1} W_k \, s^{t - kd}, \qquad s^\tau = 0 \text{ for } \tau < 1

    All time-steps are computed in one matrix product.

    Args:
        in_features: Number of inputs.
        out_features: Number of outputs.
        taps: ``K``, at least 1; with one tap it is an ordinary linear layer.
        every: ``d``, time-steps between two taps.
    """

    def __init__(self, in_features: int, out_features: int, taps: int, every: int) -> None:
        super().__init__(in_features * taps, out_features, bias=False)
        self.taps, self.every = taps, every

    def forward(self, x: Float[Tensor, "T N F"]) -> Float[Tensor, "T N G"]:
        """The currents of all time-steps."""
        T, most = len(x), (self.taps - 1) * self.every
        padded = F.pad(x, (0, 0, 0, 0, most, 0))
        delayed = [padded[first : first + T] for first in range(0, most + 1, self.every)]
        return super().forward(torch.cat(delayed, -1))

    def extra_repr(self) -> str:
        """What distinguishes this layer, for ``print``."""
        return f"{super().extra_repr()}, taps={self.taps}, every={self.every}"


class SequenceNet(Network):
    """Delayed linear layers for images that come in pieces: row by row or pixel by pixel.

    Of the paper's network for sequential MNIST it is known only that it is fully connected,
    so this one is ours. ``"seq"`` is for rows, ``"seq-long"`` for pixels.

    Args:
        arch: ``"seq"`` or ``"seq-long"``.
        config: As :func:`bntt.vgg9`, with ``encoder`` one of ``"rows"``, ``"pixels"`` and
            ``"permuted"``; the last feeds pixels in a random order, which ``permutation``
            is the seed of.

    Raises:
        ValueError: If a value is out of range, or the image has fewer pieces than
            ``num_steps``.
    """

    def __init__(self, arch: str, **config: Any) -> None:
        one_of("architecture", arch, DELAYS)
        super().__init__(arch, **config)
        if self.encoder_name not in SEQUENCE_ENCODERS:
            raise ValueError(
                f"{arch} reads an image in pieces, but encoder={self.encoder_name!r} gives "
                f"it whole. Use one of {', '.join(SEQUENCE_ENCODERS)}."
            )
        self._check_pieces()
        self.linears, self.layers = nn.ModuleList(), nn.ModuleList()
        (features,) = self.step_shape
        for width, taps, every in DELAYS[arch]:
            self.linears.append(Delayed(features, width, taps, every))
            self.layers.append(self.layer(width))
            features = width
        self.output = nn.Linear(features, self.num_classes, bias=False)
        self.draw_weights()

    @property
    def step_shape(self) -> tuple[int, ...]:
        """The count of numbers in one row, or in one pixel."""
        row = self.image_size if self.encoder_name == "rows" else 1
        return (self.in_channels * row,)

    def read(
        self, spikes: Float[Tensor, "T N F"], start: int | None = None
    ) -> Float[Tensor, "T N K"]:
        """The read-outs of single time-steps; see :meth:`Network.read`."""
        x = spikes
        for linear, layer in zip(self.linears, self.layers, strict=True):
            x = layer(linear(x), start=start)
        return self.output(x)

    def _check_pieces(self) -> None:
        side = self.image_size
        pieces = side if self.encoder_name == "rows" else side * side
        if self.num_steps > pieces:
            raise ValueError(
                f"An image of {side}x{side} has {pieces} {self.encoder_name}, but "
                f"num_steps is {self.num_steps}. Set num_steps to {pieces} or fewer."
            )
