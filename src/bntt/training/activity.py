"""Spikes as a cost that is trained: the share of synaptic operations they cause (M27)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..analysis.energy.operations import coverage, synapses
from ..layers.neuron import NormLIF
from ..networks.network import Network
from ..networks.sequence import Delayed


class Activity:
    """Adds up the synaptic operations of a network while it runs (:meth:`watching`).

    Counted are accumulates that spikes of the network's own neurons cause, at every border,
    stride and delay as :func:`bntt.energy` counts them; what the coded image causes is not,
    since training does not change it. Average-pooled spikes count as the spikes that they
    are.

    Args:
        net: Of convolutions and linear layers, each behind the neurons of one layer, as all
            networks of this package are.

    Raises:
        ValueError: If the network has weights in layers of another kind.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self.synapses = [module for _, module in synapses(net)]
        self._reach: dict[tuple[nn.Module, tuple[int, ...]], Tensor] = {}
        self._neurons = 0
        self._caused: list[Tensor] = []
        self._possible = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Count what one call of the network does inside the block."""
        self._neurons, self._caused, self._possible = 0, [], 0.0
        hooks = [m.register_forward_pre_hook(self._see_input) for m in self.synapses]
        for module in self.net.modules():
            if isinstance(module, NormLIF):
                hooks.append(module.register_forward_hook(self._see_spikes))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def operations(self) -> Float[Tensor, ""]:
        """The accumulates of that call, over all samples and time-steps.

        Its gradient reaches every spike, and beyond it the weights by the surrogate.
        """
        return torch.stack(self._caused).sum()

    def rate(self) -> Float[Tensor, ""]:
        """The share of all accumulates that would be, if every neuron always fired."""
        return self.operations() / self._possible

    def _see_spikes(self, module: nn.Module, args: object, spikes: Tensor) -> None:
        self._neurons = spikes.numel()

    def _see_input(self, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        if not self._neurons:  # no neuron has fired yet: this is the coded image
            return
        (x,) = args
        # of a pooled number every spike beneath it causes operations
        reach = self._reached(module, x) * (self._neurons / x.numel())
        axes = [axis for axis, size in enumerate(reach.shape) if size == 1]
        spikes = x.sum(axes, keepdim=True, dtype=torch.float32)
        self._caused.append((spikes * reach).sum())
        self._possible += self._most(module, x) * self._neurons / x.numel()

    def _reached(self, module: nn.Module, x: Tensor) -> Tensor:
        """The outputs that each number of ``x`` reaches, in a shape that broadcasts."""
        key = module, tuple(x.shape)
        if key not in self._reach:
            reach = _reach(module, x)
            self._reach[key] = reach.to(x.device, torch.float32)
        return self._reach[key]

    def _most(self, module: nn.Module, x: Tensor) -> float:
        reach = self._reach[module, tuple(x.shape)]
        return float(reach.double().sum()) * (x.numel() // reach.numel())


def penalty(
    rate: Float[Tensor, ""], *, weight: float, target: float = 0.0
) -> Float[Tensor, ""]:
    r"""What activity costs, :math:`\beta \max(0, R - R^*)` (M27).

    Args:
        rate: Share of synaptic operations, in [0, 1], as :meth:`Activity.rate` gives it.
        weight: :math:`\beta`, in units of the loss; at least 0.
        target: :math:`R^*`, the share from which on fewer are not asked for.
    """
    return weight * (rate - target).relu()


def _reach(module: nn.Module, x: Tensor) -> Tensor:
    if isinstance(module, nn.Conv2d):
        return coverage(module, *x.shape[2:])[None, None]
    if isinstance(module, Delayed):
        # an input is heard again by every tap that time still allows
        left = torch.arange(len(x), 0, -1)
        taps = ((left - 1) // module.every + 1).clamp(max=module.taps)
        return taps[:, None, None] * module.out_features
    assert isinstance(module, nn.Linear)
    return torch.full((1,) * x.ndim, module.out_features)
