"""What a network costs: operations counted one by one, and joules by stated constants."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from ...layers.neuron import LIF
from ...layers.norms import NoNorm, TemporalNorm
from ...networks.modes import evaluating
from ...networks.network import Network
from ...networks.stream import stream
from ..leaving import Leaving, run_batch
from .constants import KNOWN, EnergyConstants, constants_of
from .estimate import (
    BreakEven,
    Line,
    alternatives,
    break_even,
    dense_macs,
    neuronal,
    paper_formula,
    synaptic,
)
from .operations import QUARTERS, LayerCount, StepCount, counting

__all__ = [
    "KNOWN",
    "BreakEven",
    "Energy",
    "EnergyConstants",
    "LayerCount",
    "Line",
    "StepCount",
    "constants_of",
    "energy",
]

BATCH = 128


@dataclass(frozen=True)
class Energy:
    """What images cost, in operations and joules."""

    images: int
    num_steps: int
    constants: EnergyConstants
    layers: tuple[LayerCount, ...]
    """Whole numbers, summed over the images."""
    lines: tuple[Line, ...]
    """Per image; average-pooled spikes count as multiplied."""
    lines_of_quarters: tuple[Line, ...]
    """Per image; average-pooled spikes count as accumulated, spike by spike."""
    dense_macs: float
    """Of one pass of an ordinary network of the same shape."""
    by_paper: dict[str, float]
    """Joules per image by the formula of published numbers, by whose spike rate counts."""
    against: tuple[BreakEven, ...]

    @property
    def joules(self) -> float:
        """Of an image, everything counted."""
        return sum(line.joules for line in self.lines)

    @property
    def synops(self) -> float:
        """Synaptic operations of an image: accumulates and multiply-accumulates."""
        return sum(line.operations for line in self.lines[:2])

    @property
    def spikes(self) -> float:
        """Spikes of an image, of all neurons and time-steps."""
        steps = [step for layer in self.layers for step in layer.steps]
        return sum(step.spikes for step in steps) / self.images

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values; counts of layers are sums over the images."""
        return {
            "images": self.images,
            "num_steps": self.num_steps,
            "constants": asdict(self.constants),
            "layers": [asdict(layer) for layer in self.layers],
            "total": {
                "joules": self.joules,
                "synops": self.synops,
                "spikes": self.spikes,
                "lines": [asdict(line) for line in self.lines],
                "lines_of_quarters": [asdict(line) for line in self.lines_of_quarters],
                "dense_macs": self.dense_macs,
                "paper": self.by_paper,
                "against": [asdict(one) for one in self.against],
            },
        }


@torch.inference_mode()
def energy(
    net: Network,
    images: UInt8[Tensor, "N C H W"] | UInt8[Tensor, "N T C H W"],
    *,
    num_steps: int | None = None,
    seed: int = 0,
    batch_size: int = BATCH,
    constants: EnergyConstants = KNOWN["45nm"],
    leave: Leaving | None = None,
    advance: Callable[[int], None] = lambda images: None,
) -> Energy:
    """Count every operation on some images, and say what they cost.

    Synaptic operations are counted with the outputs that an input really reaches, at
    borders and with strides, separately for inputs of -1, 0 and 1 (accumulates) and others
    (multiply-accumulates), such as an image that is fed directly.

    Args:
        net: Of convolutions and linear layers with this package's neurons; put into
            evaluation mode here, and back.
        images: Bytes, as a set has them.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        seed: Of the encoder's random numbers.
        batch_size: Images at a time.
        constants: Energies of single operations.
        leave: When an image leaves its batch, after which it costs nothing, such as a
            :class:`bntt.analysis.early_exit.SampleExit`; none does if omitted.
        advance: Called with the number of images just done.

    Raises:
        ValueError: If there is no image, more time-steps are asked for than trained, or a
            layer is of a kind whose operations are not known.

    Example:
        >>> import bntt
        >>> net = bntt.vgg5(num_classes=10, num_steps=2, leak=0.9, image_size=8)
        >>> found = energy(net, torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8))
        >>> [layer.name for layer in found.layers][:2]
        ['convs.0', 'convs.1']
    """
    if len(images) == 0:
        raise ValueError("There is no image whose energy could be counted.")
    net.check_steps(num_steps)
    most = num_steps or net.num_steps
    device = net.mean.device
    generator = torch.Generator(device=device).manual_seed(seed)
    with evaluating(net), counting(net) as counter:
        for first in range(0, len(images), batch_size):
            x = net.normalize(images[first : first + batch_size].to(device))
            sequence = x.ndim == 5
            size = x.shape[1] if sequence else len(x)
            counter.restart(size)
            if not sequence:  # all of it, so that no image's noise depends on who left
                x = torch.stack(list(net.encoder.steps(x, most, generator)))
            run_batch(stream(net), size, most, inputs=x, leave=leave, observer=counter)
            advance(size)
    return _estimated(net, counter.layers, counter.images, most, constants)


def _estimated(
    net: Network,
    layers: list[LayerCount],
    images: int,
    num_steps: int,
    constants: EnergyConstants,
) -> Energy:
    normed = any(
        isinstance(m, TemporalNorm) and not isinstance(m, NoNorm) for m in net.modules()
    )
    leaks = any(isinstance(m, LIF) and float(m.leak) != 1 for m in net.modules())
    fixed = neuronal(layers, images, constants, normed=normed, leaks=leaks)
    lines = [*synaptic(layers, images, constants, quarters=False), *fixed]
    of_quarters = [*synaptic(layers, images, constants, quarters=True), *fixed]
    # what accumulates now would, if every input were a spike, reach every output; a pooled
    # input stands for several spikes
    potential = (
        sum(
            step.dense * (QUARTERS if step.ac_of_quarters else 1)
            for layer in layers
            for step in layer.steps
            if step.ac_of_quarters or not step.mac
        )
        / images
    )
    return Energy(
        images=images,
        num_steps=num_steps,
        constants=constants,
        layers=tuple(layers),
        lines=tuple(lines),
        lines_of_quarters=tuple(of_quarters),
        dense_macs=dense_macs(layers, images),
        by_paper={
            rate_of: paper_formula(layers, images, constants, rate_of=rate_of)
            for rate_of in ("output", "input")
        },
        against=tuple(
            break_even(name, joules, of_quarters, potential)
            for name, joules in alternatives(layers, images, constants, num_steps).items()
        ),
    )
