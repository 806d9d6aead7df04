"""The network's convolutions and linear layers on ready inputs, and nothing else.

Every implementation spends at least this long, so their speed bounds that of all others.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .job import Job, Layer

Run = tuple[Callable[[Tensor, Tensor], Tensor], Tensor, Tensor, Tensor]
"""A layer: its function, weight, input and output gradient."""


class Layers:
    """All layers with their inputs and output gradients; a pass goes through them once."""

    def __init__(self, job: Job) -> None:
        self.job, layers = job, [*job.convolutions(), *job.linears()]
        self.runs = [self._prepare(layer, first=i == 0) for i, layer in enumerate(layers)]

    def inference(self) -> None:
        """Run every layer forward."""
        with torch.inference_mode():
            for forward, weight, x, _ in self.runs:
                forward(x, weight)

    def training(self) -> None:
        """Run every layer forward, and backward to weights and inputs (not the image)."""
        for forward, weight, x, grad in self.runs:
            wanted = [weight, x] if x.requires_grad else [weight]
            torch.autograd.grad(forward(x, weight), wanted, grad)

    def _prepare(self, layer: Layer, first: bool) -> Run:
        space = (layer.size, layer.size) if layer.size else ()
        samples = self.job.num_steps * self.job.batch_size
        kernel = (3, 3) if layer.size else ()
        x = self._laid_out(torch.rand(samples, layer.inputs, *space).lt(0.25))
        weight = self._laid_out(0.05 * torch.randn(layer.outputs, layer.inputs, *kernel))
        grad = self._laid_out(torch.randn(samples, layer.outputs, *space))
        forward = _convolve if layer.size else F.linear
        return forward, weight.requires_grad_(), x.requires_grad_(not first), grad

    def _laid_out(self, x: Tensor) -> Tensor:
        x = x.to(self.job.dtype)
        return x.contiguous(memory_format=self.job.memory_format) if x.ndim == 4 else x


def _convolve(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=1)
