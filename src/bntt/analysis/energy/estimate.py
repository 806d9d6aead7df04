"""From counted operations to joules, beside what the alternatives would take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .constants import EnergyConstants
from .operations import LayerCount

PJ = 1e-12


@dataclass(frozen=True)
class Line:
    """One part of what an image costs."""

    name: str
    operations: float
    """Per image, in the mean."""
    joules: float
    """Per image."""
    meaning: str


@dataclass(frozen=True)
class BreakEven:
    """Up to which spike rate the spiking network takes less than an alternative."""

    against: str
    joules: float
    """What the alternative takes for an image."""
    rate: float | None
    """Share of inputs that are spikes, per time-step and weighted by the operations that
    each would cause; None if the rest of the network alone takes more already."""
    measured: float
    """The same share, as it was counted."""

    @property
    def spiking_wins(self) -> bool:
        """Whether the network, as it is, takes less."""
        return self.rate is not None and self.measured < self.rate


def synaptic(
    layers: Sequence[LayerCount], images: int, constants: EnergyConstants, *, quarters: bool
) -> list[Line]:
    """What spikes and numbers cost in convolutions and linear layers.

    Args:
        layers: Counted.
        images: How many they are of.
        constants: Energies.
        quarters: Whether average-pooled spikes, multiples of a quarter, count as that many
            accumulates, with weights a quarter as large, in place of a multiplication.
    """
    steps = [step for layer in layers for step in layer.steps]
    ac, mac = sum(s.ac for s in steps), sum(s.mac for s in steps)
    if quarters:
        moved = [s for s in steps if s.ac_of_quarters]
        ac += sum(s.ac_of_quarters for s in moved)
        mac -= sum(s.mac for s in moved)
    ac, mac = ac / images, mac / images
    return [
        Line("accumulates", ac, ac * constants.ac_pj * PJ, "inputs of -1 and 1"),
        Line("multiply-accumulates", mac, mac * constants.mac_pj * PJ, "other inputs"),
    ]


def neuronal(
    layers: Sequence[LayerCount],
    images: int,
    constants: EnergyConstants,
    *,
    normed: bool,
    leaks: bool,
) -> list[Line]:
    """What membranes and norms cost, however few spikes there are.

    Every neuron at every time-step multiplies its membrane by the leak and adds the
    current; a spike subtracts the threshold; a norm multiplies and adds once.
    """
    updates = sum(s.neurons for layer in layers for s in layer.steps) / images
    spikes = sum(s.spikes for layer in layers for s in layer.steps) / images
    membrane = updates * constants.ac_pj + spikes * constants.ac_pj
    if leaks:
        membrane += updates * constants.mult_pj
    lines = [Line("membranes", updates, membrane * PJ, "leak, current and reset")]
    if normed:
        norm = updates * constants.mac_pj * PJ
        lines.append(Line("norms", updates, norm, "scale and shift of every current"))
    return lines


def dense_macs(layers: Sequence[LayerCount], images: int) -> float:
    """Multiply-accumulates of one pass of an ordinary network of the same shape.

    Padding counts, as it usually does.
    """
    return sum(layer.steps[0].dense for layer in layers) / images


def paper_formula(
    layers: Sequence[LayerCount],
    images: int,
    constants: EnergyConstants,
    *,
    rate_of: str = "output",
) -> float:
    r"""Joules by the formula that published numbers mostly use (M25).

    .. math::
        E = e_{AC} \sum_l F_l R_l

    ``F`` counts the multiply-accumulates of one dense pass and ``R`` the spikes per neuron
    over all time-steps. Published code takes the rate of a layer's own neurons, though it
    is its input that causes the operations; the read-out, which has no neurons, counts
    with the rate of its input either way.

    Args:
        layers: Counted, of a run in which nobody left early.
        images: How many they are of.
        constants: Energies.
        rate_of: ``"output"`` as published, or ``"input"``.
    """
    total = 0.0
    before = None
    for layer in layers:
        dense = layer.steps[0].dense / images
        neurons = layer.steps[0].neurons
        own = sum(s.spikes for s in layer.steps) / neurons if neurons else None
        given = before if before is not None else own
        rate = own if rate_of == "output" and own is not None else given
        total += dense * (rate or 0.0)
        before = own
    return total * constants.ac_pj * PJ


def bits_of(num_steps: int) -> int:
    """Bits of an activation that says as much as the spike count of ``T`` binary steps."""
    return math.ceil(math.log2(num_steps + 1))


def alternatives(
    layers: Sequence[LayerCount], images: int, constants: EnergyConstants, num_steps: int
) -> dict[str, float]:
    """Joules per image of ordinary networks of the same shape, by name."""
    dense = dense_macs(layers, images)
    bits = bits_of(num_steps)
    return {
        "ANN": dense * constants.mac_pj * PJ,
        f"ANN of {bits} bits": dense * constants.mac_of_bits(bits) * PJ,
    }


def break_even(
    against: str, joules: float, lines: Sequence[Line], potential: float
) -> BreakEven:
    """The spike rate at which a network takes as much as an alternative.

    Args:
        against: The alternative's name.
        joules: What it takes for an image.
        lines: Of the spiking network; the first are its accumulates.
        potential: Accumulates per image if every input were a spike at every time-step.
    """
    accumulates, rest = lines[0], sum(line.joules for line in lines[1:])
    measured = accumulates.operations / potential if potential else 0.0
    left = joules - rest
    if left <= 0 or not accumulates.operations:
        return BreakEven(against, joules, None, measured)
    per_operation = accumulates.joules / accumulates.operations
    return BreakEven(against, joules, left / per_operation / potential, measured)
