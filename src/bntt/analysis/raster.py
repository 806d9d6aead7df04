"""One image shown step by step: which neurons fire, and what some membranes do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from ..layers.neuron import LIF, NormLIF
from ..networks.modes import evaluating
from ..networks.network import Network
from ..networks.stream import stream
from ..report.drawing import evenly
from ..report.raster import Raster, Trace

NEURONS = 16
"""Of every layer, evenly spread over it."""
TRACES = 3
"""Layers of which one membrane is kept."""


@torch.inference_mode()
def raster_of(
    net: Network,
    image: UInt8[Tensor, " *S"],
    *,
    name: str,
    num_steps: int | None = None,
    seed: int = 0,
) -> Raster:
    """Show one image, and note the spikes of some neurons of every layer.

    Of the first, a middle and the last layer the membrane of the neuron that fires most
    among them is kept, after the reset of every time-step.

    Args:
        net: Put into evaluation mode here, and back.
        image: Bytes, as a set has them: ``[C, H, W]``, or ``[T, C, H, W]`` of a recording.
        name: What the image is called.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        seed: Of the encoder's random numbers.

    Raises:
        ValueError: If more time-steps are asked for than trained.
    """
    net.check_steps(num_steps)
    most = num_steps or net.num_steps
    x = net.normalize(image[None].to(net.mean.device))
    generator = torch.Generator(device=x.device).manual_seed(seed)
    recording = x.ndim == 5
    run = stream(net) if recording else stream(net, x, num_steps=most, generator=generator)
    membranes: dict[str, list[Tensor]] = {}
    with evaluating(net), _noting_spikes(net) as fired:
        logits = x.new_empty(0)
        for t in range(most):
            logits = run.step(x[t]) if recording else run.step()
            for layer, v in run.membranes.items():
                membranes.setdefault(layer, []).append(v.flatten().float().cpu())
    chosen = {layer: _some(torch.stack(steps)) for layer, steps in fired.items()}
    answer = int(logits[0].argmax())
    said = net.class_names[answer] if net.class_names else str(answer)
    return Raster(
        image=f"{name}, which the network takes for {said}.",
        num_steps=most,
        spikes={layer: [_times(n) for n in some.T] for layer, (some, _) in chosen.items()},
        traces=[
            _trace(net, layer, *chosen[layer], torch.stack(membranes[layer]))
            for layer in (list(chosen)[k] for k in evenly(list(chosen), TRACES))
        ],
    )


@contextmanager
def _noting_spikes(net: Network) -> Iterator[dict[str, list[Tensor]]]:
    """The spikes ``[neurons]`` of every layer, one tensor per time-step."""
    fired: dict[str, list[Tensor]] = {}
    hooks = [
        layer.register_forward_hook(_noting(fired.setdefault(name, [])))
        for name, layer in _neurons(net)
    ]
    try:
        yield fired
    finally:
        for hook in hooks:
            hook.remove()


def _noting(kept: list[Tensor]) -> Callable[..., None]:
    def hook(module: nn.Module, args: tuple, output: Tensor) -> None:
        kept.append(output.flatten().cpu())

    return hook


def _neurons(net: Network) -> Iterator[tuple[str, nn.Module]]:
    inside = {
        part
        for layer in net.modules()
        if isinstance(layer, NormLIF)
        for part in layer.children()
    }
    for name, layer in net.named_modules():
        if isinstance(layer, NormLIF | LIF) and layer not in inside:
            yield name, layer


def _some(spikes: Tensor) -> tuple[Tensor, list[int]]:
    """Spikes ``[T, some]`` of neurons spread evenly over a layer, and which those are."""
    places = evenly(range(spikes.shape[1]), NEURONS)
    return spikes[:, places], places


def _times(spikes: Tensor) -> list[int]:
    """The time-steps, from 1, at which a neuron fires."""
    return [int(t) + 1 for t in spikes.nonzero()]


def _trace(
    net: Network, layer: str, spikes: Tensor, places: list[int], membranes: Tensor
) -> Trace:
    busiest = int(spikes.sum(0).argmax())
    module = net.get_submodule(layer)
    lif = module.lif if isinstance(module, NormLIF) else module
    return Trace(
        layer=layer,
        membrane=membranes[:, places[busiest]].tolist(),
        threshold=float(lif.v_threshold),  # pyright: ignore[reportArgumentType]
        spikes=_times(spikes[:, busiest]),
    )
