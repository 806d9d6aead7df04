"""This package's network, as its users call it."""

import torch
from torch import Tensor

from ...layers.pool import average_pool
from ...networks.vgg import VGG
from ...ops.surrogate import Triangle
from .job import Job


class Network:
    """A :class:`bntt.VGG` behind the interface that all implementations share."""

    def __init__(self, job: Job) -> None:
        self.net = VGG(
            job.arch,
            num_classes=job.num_classes,
            num_steps=job.num_steps,
            leak=job.leak,
            in_channels=job.in_channels,
            image_size=job.image_size,
            surrogate=Triangle(job.height),
        ).to(job.wide)
        # built in its own layout; it has no other
        self.num_stages = len(self.net.layers)

    def __call__(self, x: Tensor) -> Tensor:
        """Logits of images or of spikes."""
        return self.net(x)

    def train(self, mode: bool) -> None:
        """Choose batch statistics, or running ones if false."""
        self.net.train(mode)

    def load(self, state: dict[str, Tensor]) -> None:
        """Take the weights of a ``state_dict`` of this package."""
        self.net.load_state_dict(state)

    def weights(self) -> list[Tensor]:
        """The weights of all convolutions and linear layers, in order."""
        layers = (*self.net.convs, self.net.hidden, self.net.output)
        return [layer.get_parameter("weight") for layer in layers]

    def stage(self, i: int, x: Tensor) -> Tensor:
        """Layer ``i`` on a whole sequence ``[T, N, ...]``, with the pooling behind it."""
        net, steps = self.net, x.shape[:2]
        flat = x.flatten(0, 1)
        if i == len(net.convs):
            flat = flat.mean((2, 3)) if net.global_pool else flat.flatten(1)
            return net.layers[i](net.hidden(flat).unflatten(0, steps))
        flat = flat.contiguous(memory_format=torch.channels_last)
        s = net.layers[i](net.convs[i](flat).unflatten(0, steps)).flatten(0, 1)
        return (average_pool(s) if net.pooled[i] else s).unflatten(0, steps)
