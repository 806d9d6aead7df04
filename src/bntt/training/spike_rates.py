"""How much every layer fires, told while a network runs for another reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..layers.neuron import NormLIF


class SpikeRates:
    """The spikes of every layer, added up over all calls of the network that it watches."""

    def __init__(self) -> None:
        self.spikes: dict[str, list[Tensor]] = {}
        self.neurons: dict[str, int] = {}

    def by_layer(self) -> dict[str, float]:
        """Spikes per neuron and time-step, in [0, 1], by the layer's name.

        Empty if the network did not run.
        """
        totals = {name: torch.stack(sums).sum() for name, sums in self.spikes.items()}
        return {name: total.item() / self.neurons[name] for name, total in totals.items()}

    @contextmanager
    def watching(self, net: nn.Module) -> Iterator[None]:
        """Add up what the network's layers fire inside the block."""
        hooks = [
            module.register_forward_hook(partial(self._see, name))
            for name, module in net.named_modules()
            if isinstance(module, NormLIF)
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _see(self, name: str, module: nn.Module, args: Any, spikes: Tensor) -> None:
        # a sum of float32 would round from 2**24 on
        self.spikes.setdefault(name, []).append(spikes.count_nonzero())
        self.neurons[name] = self.neurons.get(name, 0) + spikes.numel()
