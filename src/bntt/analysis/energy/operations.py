"""Operations of a network, counted one by one: every border, stride, channel and step."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ...layers.neuron import LIF, NormLIF, firing_layers
from ...layers.norms import TemporalNorm
from ...networks.network import Network
from ...networks.sequence import Delayed

QUARTERS = 4
"""Spikes that one number of a 2x2 average-pooled map may hold."""


@dataclass
class StepCount:
    """What one layer does at one time-step, summed over images; whole numbers."""

    inputs: int = 0
    """Numbers that are not 0 among the layer's inputs."""
    ac: int = 0
    """Accumulates: operations on an input of -1 or 1."""
    mac: int = 0
    """Multiply-accumulates: operations on any other number."""
    ac_of_quarters: int = 0
    """Accumulates in the place of ``mac`` where the input is average-pooled spikes:
    ``k/4`` counts as ``k`` spikes, whose weight is a quarter. 0 for other inputs."""
    dense: int = 0
    """Multiply-accumulates of an ordinary network: every input, zeros and padding too."""
    neurons: int = 0
    """Membranes that are updated behind this layer."""
    spikes: int = 0
    """Spikes that they fire."""


@dataclass
class LayerCount:
    """One convolution or linear layer with the neurons behind it."""

    name: str
    kind: str
    """``"convolution"`` or ``"linear"``."""
    steps: list[StepCount] = field(default_factory=list)
    """One entry per time-step."""


class Counter:
    """Counts what the layers of a network do, one time-step after the other.

    Made by :func:`counting`; to be used with a stream of the network, which runs one
    time-step at a time.
    """

    def __init__(self, net: Network) -> None:
        self.net = net
        self.layers = [LayerCount(name, _kind(module)) for name, module in synapses(net)]
        self.images = 0
        """Images that began."""
        self._now = 0
        self._coverage: dict[tuple[str, tuple[int, ...]], Tensor] = {}
        self._earlier: dict[str, list[Tensor]] = {}

    def next_step(self, images: int) -> None:
        """A time-step begins, for so many images."""
        self._now += 1
        for layer in self.layers:
            while len(layer.steps) < self._now:
                layer.steps.append(StepCount())

    def restart(self, images: int) -> None:
        """A new batch begins, whose steps count beside those of the last one."""
        self.images += images
        self._now = 0
        self._earlier.clear()

    def keep(self, mask: Tensor) -> None:
        """Some images have left (:meth:`bntt.networks.stream.Stream.keep`)."""
        for name, counts in self._earlier.items():
            self._earlier[name] = [count[mask.to(count.device)] for count in counts]

    def _see_input(self, layer: LayerCount, module: nn.Module, x: Tensor) -> None:
        step = layer.steps[self._now - 1]
        x = x.detach()
        active = x != 0
        step.inputs += int(active.sum())
        operations = self._operations(layer.name, module, active.double())
        step.dense += _dense(module, x)
        if _is_unit(x):
            step.ac += operations
            return
        step.mac += operations
        if _are_quarters(x):
            spikes = (x.double().abs() * QUARTERS).round()
            step.ac_of_quarters += self._operations(layer.name, module, spikes, again=True)

    def _operations(
        self, name: str, module: nn.Module, active: Tensor, *, again: bool = False
    ) -> int:
        """Active inputs, each times the outputs that it really reaches."""
        if isinstance(module, nn.Conv2d):
            reached = self._reached(name, module, active)
            return round((active.sum((0, 1)) * reached).sum().item())
        if isinstance(module, Delayed):
            # an input is heard once now, and again by every later tap that time allows
            key = f"{name} of quarters" if again else name
            now = active.flatten(0, 1).sum(-1)
            history = self._earlier.setdefault(key, [])
            history.append(now)
            heard = history[:: -module.every][: module.taps]
            return round(sum(count.sum().item() for count in heard)) * module.out_features
        assert isinstance(module, nn.Linear)
        return round(active.sum().item()) * module.out_features

    def _reached(self, name: str, conv: nn.Conv2d, x: Tensor) -> Tensor:
        """How many outputs, over all channels, each pixel of an input channel reaches."""
        key = name, tuple(x.shape[2:])
        if key not in self._coverage:
            self._coverage[key] = coverage(conv, *x.shape[2:]).to(x.device)
        return self._coverage[key]

    def _see_output(self, layer: LayerCount, spikes: Tensor) -> None:
        step = layer.steps[self._now - 1]
        step.neurons += spikes.numel()
        step.spikes += int((spikes != 0).sum())


@contextmanager
def counting(net: Network) -> Iterator[Counter]:
    """Count operations inside the block, while a stream of the network runs.

    Args:
        net: Of convolutions (``nn.Conv2d``) and linear layers with this package's neurons.

    Raises:
        ValueError: If the network has weights in layers of another kind, whose operations
            nobody has told.
    """
    counter = Counter(net)
    hooks = []
    by_name = {layer.name: layer for layer in counter.layers}
    current: list[LayerCount] = []

    def see_input(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            current[:] = [by_name[name]]
            counter._see_input(by_name[name], module, args[0])

        return hook

    def see_output(module: nn.Module, args: Any, output: Any) -> None:
        if current:
            spikes = output[0] if isinstance(output, tuple) else output
            counter._see_output(current[0], spikes)

    try:
        for name, module in synapses(net):
            hooks.append(module.register_forward_pre_hook(see_input(name)))
        for module in firing_layers(net).values():
            hooks.append(module.register_forward_hook(see_output))
        yield counter
    finally:
        for hook in hooks:
            hook.remove()


def synapses(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers whose weights spikes meet, by name, from the input on.

    Raises:
        ValueError: If a layer has weights and is of a kind that is not counted.
    """
    found = []
    for name, module in net.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            _refuse_odd(name, module)
            found.append((name, module))
        elif isinstance(module, (NormLIF, LIF, TemporalNorm)):
            continue
        elif any(parameter.ndim > 1 for parameter in module.parameters(recurse=False)):
            raise ValueError(
                f"{name} is a {type(module).__name__}, whose operations are not known. "
                f"Counted are nn.Conv2d, nn.Linear and layers derived from them."
            )
    return found


def _refuse_odd(name: str, module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
        raise ValueError(
            f"{name} pads by {module.padding_mode!r}, where border pixels reach more "
            f"outputs than are counted. Only padding with zeros is."
        )


def _kind(module: nn.Module) -> str:
    return "convolution" if isinstance(module, nn.Conv2d) else "linear"


def coverage(conv: nn.Conv2d, *size: int) -> Tensor:
    """For every input pixel, the outputs that read it, over all channels: ``[H, W]``."""
    down, across = (torch.bincount(read, minlength=n + 1)[:n] for read, n in
                    zip(_read(conv, *size), size, strict=True))  # fmt: skip
    return down[:, None] * across * (conv.out_channels // conv.groups)


def _read(conv: nn.Conv2d, *size: int) -> list[Tensor]:
    """The rows that are read, as often as they are, and the columns; ``n`` is padding."""
    found = []
    for axis, n in enumerate(size):
        kernel, stride, dilation = (
            value[axis] for value in (conv.kernel_size, conv.stride, conv.dilation)
        )
        reach = dilation * (kernel - 1)
        if isinstance(conv.padding, str):
            before, after = (
                (reach // 2, reach - reach // 2) if conv.padding == "same" else (0, 0)
            )
        else:
            before = after = conv.padding[axis]
        outputs = torch.arange(0, n + before + after - reach, stride)
        rows = (outputs[:, None] + dilation * torch.arange(kernel) - before).flatten()
        found.append(torch.where((rows >= 0) & (rows < n), rows, n))
    return found


def _dense(module: nn.Module, x: Tensor) -> int:
    """Multiply-accumulates as they are usually counted: padding and zeros included."""
    if isinstance(module, nn.Conv2d):
        down, across = map(len, _read(module, *x.shape[2:]))
        fan_in = module.in_channels // module.groups
        return len(x) * module.out_channels * fan_in * down * across
    assert isinstance(module, nn.Linear)
    samples = x.numel() // x.shape[-1]
    return samples * module.in_features * module.out_features


def _is_unit(x: Tensor) -> bool:
    """Whether all numbers are -1, 0 or 1, so that no input is multiplied."""
    return bool(((x == 0) | (x.abs() == 1)).all())


def _are_quarters(x: Tensor) -> bool:
    quarters = x.double() * QUARTERS
    return bool(((quarters == quarters.round()) & (quarters.abs() <= QUARTERS)).all())
