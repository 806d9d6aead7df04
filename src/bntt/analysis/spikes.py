"""How often neurons fire: by layer, time-step and channel, counted while they do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ..layers.neuron import LIF, NormLIF, firing_layers, spike_counts, with_channel
from ..networks.modes import evaluating
from ..networks.network import Network
from ..ops.arguments import said, whole_number, yes_or_no

BATCH = 128


@dataclass(frozen=True)
class LayerSpikes:
    """What the neurons of one layer fired, summed over images."""

    name: str
    """Of the layer; used twice in a pass, it appears as ``name`` and as ``name:1``."""
    images: int
    neurons: int
    """Of one image: channels times pixels."""
    spikes: Int64[Tensor, "T C"]
    """Spikes at each time-step in each channel, over all images and pixels."""
    by_neuron: Int64[Tensor, " C *S"] | None
    """Spikes of each neuron over all images and time-steps; None unless asked for."""

    @property
    def rates(self) -> Float[Tensor, " T"]:
        """Spikes per neuron and image at each time-step, 0 to 1."""
        return self.spikes.sum(1).double() / (self.images * self.neurons)

    @property
    def channel_rates(self) -> Float[Tensor, "T C"]:
        """The same for every channel alone."""
        return self.spikes.double() / self._chances

    @property
    def rate(self) -> float:
        """Spikes per neuron, image and time-step, 0 to 1."""
        return self.rates.mean().item()

    @property
    def silent(self) -> int | None:
        """Neurons that never fired; None unless neurons were counted one by one."""
        return None if self.by_neuron is None else int((self.by_neuron == 0).sum())

    @property
    def saturated(self) -> int | None:
        """Neurons that fired at every step of every image; None as :attr:`silent`."""
        if self.by_neuron is None:
            return None
        return int((self.by_neuron == self.images * len(self.spikes)).sum())

    def distribution(self, bins: int = 10) -> Int64[Tensor, "T bins"]:
        """How many channels have which rate, at each time-step.

        Args:
            bins: Equal parts of the rates from 0 to 1. A rate between two belongs to the
                upper one, and 1 to the last.

        Raises:
            TypeError: If ``bins`` is no whole number.
            ValueError: If there is not even one bin.
        """
        return _histogram(self.spikes, self._chances, bins)

    def distribution_of_neurons(self, bins: int = 10) -> Int64[Tensor, " bins"]:
        """How many neurons have which rate, over all time-steps.

        Args:
            bins: As in :meth:`distribution`.

        Raises:
            TypeError: As :meth:`distribution`.
            ValueError: As :meth:`distribution`, or if neurons were not counted one by one.
        """
        if self.by_neuron is None:
            raise ValueError(
                "The neurons were not counted one by one, which takes a map of each layer. "
                "Ask for it with spike_statistics(..., by_neuron=True), or see "
                "distribution() for that of channels."
            )
        chances = self.images * len(self.spikes)
        return _histogram(self.by_neuron.flatten()[None], chances, bins)[0]

    @property
    def _chances(self) -> int:
        """How often a channel could have fired at one time-step."""
        return self.images * self.neurons // self.spikes.shape[1]


@dataclass(frozen=True)
class SpikeStatistics:
    """What a network fired while it saw some images."""

    images: int
    num_steps: int
    layers: tuple[LayerSpikes, ...]
    """In the order in which the network was built."""

    def to_dict(self, *, by_channel: bool = False) -> dict[str, Any]:
        """Everything but the maps, as plain values.

        Args:
            by_channel: Whether to add the rates of every channel, ``[T][C]``.
        """
        layers = []
        for layer in self.layers:
            entry: dict[str, Any] = {
                "name": layer.name,
                "neurons": layer.neurons,
                "spikes": layer.spikes.sum(1).tolist(),
                "rates": layer.rates.tolist(),
                "distribution": layer.distribution().tolist(),
                "silent": layer.silent,
                "saturated": layer.saturated,
            }
            if by_channel:
                entry["channel_rates"] = layer.channel_rates.tolist()
            layers.append(entry)
        return {"images": self.images, "num_steps": self.num_steps, "layers": layers}


@torch.inference_mode()
def spike_statistics(
    net: Network,
    images: UInt8[Tensor, "N C H W"] | UInt8[Tensor, "N T C H W"],
    *,
    num_steps: int | None = None,
    seed: int = 0,
    batch_size: int = BATCH,
    by_neuron: bool = False,
    advance: Callable[[int], None] = lambda images: None,
) -> SpikeStatistics:
    r"""Count the spikes of every layer while a network sees some images.

    The rate of a layer at a time-step is the share of its neurons that fire (M2), over
    images :math:`n` and neurons :math:`i`:

    .. math::
        r^t = \frac{1}{N I} \sum_{n, i} s^t_{ni}

    The operators count as they fire, exactly, so no spikes are kept or read again. Neurons
    that are always silent or always firing take a map of whole numbers for each layer, and
    one pass over its spikes.

    Args:
        net: Any network of this package's neurons; put into evaluation mode here, and back.
        images: Bytes, as a set has them.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        seed: Of the encoder's random numbers.
        batch_size: Images at a time.
        by_neuron: Whether to count every neuron too, not just every channel.
        advance: Called with the number of images just done.

    Raises:
        TypeError: If ``net`` is no :class:`Network`.
        ValueError: If there is no image, more time-steps are asked for than trained, no
            layer fires, or one was compiled.

    Example:
        >>> import bntt
        >>> net = bntt.vgg5(num_classes=10, num_steps=2, leak=0.9, image_size=8)
        >>> found = spike_statistics(net, torch.zeros(4, 3, 8, 8, dtype=torch.uint8))
        >>> [layer.name for layer in found.layers]
        ['layers.0', 'layers.1', 'layers.2', 'layers.3']
        >>> found.layers[0].spikes.shape
        torch.Size([2, 64])
    """
    _check(net, images, batch_size, by_neuron)
    net.check_steps(num_steps)
    most = num_steps or net.num_steps
    device = net.mean.device
    generator = torch.Generator(device=device).manual_seed(seed)
    with evaluating(net), _counting(net, most, by_neuron) as tallies:
        for first in range(0, len(images), batch_size):
            x = net.normalize(images[first : first + batch_size].to(device))
            for tally in tallies:
                tally.begin_batch()
            _ = net(x, num_steps=most, generator=generator)
            advance(x.shape[1] if x.ndim == 5 else len(x))
    layers = tuple(layer for tally in tallies for layer in tally.layers())
    return SpikeStatistics(len(images), most, layers)


class _Tally:
    """The spikes of one module, which a pass may call several times."""

    def __init__(self, name: str, most: int, by_neuron: bool) -> None:
        self.name, self.most, self.by_neuron = name, most, by_neuron
        self.uses: list[_Use] = []
        self._used, self._asked = 0, False

    def begin_batch(self) -> None:
        for use in self.uses:
            use.steps = 0
        self._used = 0

    def ask(self, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Have the module count, unless its ``forward`` is the user's own."""
        self._asked = bool(kwargs.get("count_spikes"))
        own = "forward" in module.__dict__
        counts = not own and type(module).forward in (LIF.forward, NormLIF.forward)
        return args, {**kwargs, "count_spikes": True} if counts else kwargs

    def take(self, module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any):
        """Keep the counts, and hand on what the caller asked for."""
        spikes = output[0] if isinstance(output, tuple) else output
        counted = bool(kwargs.get("count_spikes"))
        counts = output[-1] if counted else spike_counts(spikes)
        v = args[1] if len(args) > 1 else kwargs.get("v")
        self._use(kwargs.get("start"), v is not None).add(counts, spikes, self)
        if not counted or self._asked:
            return None
        return output[0] if len(output) == 2 else output[:-1]

    def layers(self) -> Iterator[LayerSpikes]:
        for number, use in enumerate(self.uses):
            name = self.name + (f":{number}" if number else "")
            spikes = torch.stack([row.cpu() for row in use.rows])
            by_neuron = None if use.by_neuron is None else use.by_neuron.cpu()
            yield LayerSpikes(name, use.images, use.neurons, spikes, by_neuron)

    def _use(self, start: int | None, continues: bool) -> "_Use":
        """Which of its uses a call belongs to: a new one, unless it goes on in time."""
        running = self.uses[: self._used]
        if start:
            going_on = [use for use in running if use.steps == start]
        elif start is None and continues:
            going_on = sorted(running, key=lambda use: use.steps)
        else:
            going_on = []
        if going_on:
            return going_on[0]
        if start:
            raise ValueError(
                f"{self.name} was called for time-step {start}, but no call of it ended "
                f"there. Spikes are counted where a pass begins at time-step 0."
            )
        self._used += 1
        if self._used > len(self.uses):
            self.uses.append(_Use())
        return self.uses[self._used - 1]


class _Use:
    """One of the uses of a module in a pass, summed over batches."""

    def __init__(self) -> None:
        self.steps = self.images = self.neurons = 0
        self.rows: list[Tensor] = []
        self.by_neuron: Tensor | None = None

    def add(self, counts: Tensor, spikes: Tensor, tally: _Tally) -> None:
        """The next time-steps of this batch."""
        if self.steps == 0:
            self.images += spikes.shape[1]
            self.neurons = spikes[0, 0].numel()
        last = self.steps + len(counts)
        if last > tally.most:
            raise ValueError(
                f"{tally.name} ran for {last} time-steps of {tally.most}, so that its "
                f"calls cannot be told apart. Give each part of time its start."
            )
        for t, row in enumerate(counts, self.steps):
            if t < len(self.rows):
                self.rows[t] = self.rows[t] + row
            else:
                self.rows.append(row)
        self.steps = last
        if tally.by_neuron:
            # read as it lies in memory, the channel last, and added up where it is exact
            lying = with_channel(spikes).movedim(2, -1).flatten(0, 1)
            fired = (lying != 0).double().sum(0).long().movedim(-1, 0)
            self.by_neuron = fired if self.by_neuron is None else self.by_neuron + fired


@contextmanager
def _counting(net: Network, most: int, by_neuron: bool) -> Iterator[list[_Tally]]:
    """Count inside the block; the counts of a module are there once it was called."""
    tallies, hooks = [], []
    try:
        for name, module in firing_layers(net).items():
            tally = _Tally(name, most, by_neuron)
            hooks += [
                module.register_forward_pre_hook(tally.ask, with_kwargs=True),
                # before hooks of the user's own, which expect what the caller asked for
                module.register_forward_hook(tally.take, with_kwargs=True, prepend=True),
            ]
            tallies.append(tally)
        yield tallies
    finally:
        for hook in hooks:
            hook.remove()


def _check(net: Any, images: Tensor, batch_size: int, by_neuron: bool) -> None:
    whole_number("batch_size", batch_size, at_least=1)
    yes_or_no("by_neuron", by_neuron)
    if not isinstance(net, Network):
        raise TypeError(f"Spikes are counted of a bntt.Network, got {said(net)}.")
    if len(images) == 0:
        raise ValueError("There is no image on which spikes could be counted.")
    if not firing_layers(net):
        raise ValueError(
            f"{type(net).__name__} has no layer that fires: neither a NormLIF nor a LIF."
        )
    if any(module._compiled_call_impl is not None for module in net.modules()):
        raise ValueError(
            "The network or a layer of it was compiled in place, and compiled code does "
            "not see who counts. Count the spikes of the network as it was before."
        )


def _histogram(counts: Tensor, chances: int, bins: int) -> Tensor:
    """How many of each row's counts lie in which part of 0 to ``chances``."""
    whole_number("bins", bins, at_least=1)
    return one_hot((counts * bins // chances).clamp(max=bins - 1), bins).sum(1)
