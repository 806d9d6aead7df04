"""What a page says of one run, as plain values: gathered elsewhere, laid out here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .raster import Raster

Object = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Gains:
    """The learned gains of a network, and the exit that is read off them (M23)."""

    of_channels: Mapping[str, Sequence[Sequence[float]]]
    """``[T][C]`` by the layer's name, from the input on."""
    threshold: float
    steps_kept: int

    @property
    def means(self) -> dict[str, list[float]]:
        """Means over channels, one per time-step."""
        return {
            name: [sum(step) / len(step) for step in steps]
            for name, steps in self.of_channels.items()
        }


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Everything that is known of a run; None or empty where nothing is."""

    name: str
    recipe: Object
    info: Object
    """What ``run.json`` says."""
    log: Sequence[Object]
    evaluation: Object | None = None
    """As :meth:`bntt.analysis.evaluation.Evaluation.to_dict`."""
    energies: Sequence[Object] = ()
    """As :meth:`bntt.analysis.energy.Energy.to_dict`, with ``exit``, whose ``rule`` is that
    of the early exit that is credited, or None."""
    exits: Sequence[Object] = ()
    """Of early exits: ``rule``, ``accuracy`` and ``full_accuracy``, with ``mean_steps`` or
    ``steps_kept``; where known ``counts``, how many images stop after each time-step,
    ``points``, objects with ``mean_steps`` and ``accuracy``, and ``held_out``, on which
    images its threshold was chosen."""
    parameters: int | None = None
    gains: Gains | None = None
    raster: Raster | None = None
    notes: Sequence[str] = field(default_factory=tuple)
    """What a reader must know before believing the numbers, or why some are missing."""

    @property
    def energy(self) -> Object | None:
        """What an image costs without an early exit, or else the first that is known."""
        whole = [one for one in self.energies if not one.get("exit")]
        return next(iter([*whole, *self.energies]), None)

    @property
    def rates(self) -> dict[str, list[float]]:
        """Spikes per neuron at every time-step, by layer; empty if not counted."""
        layers = (self.energy or {}).get("layers") or ()
        return {
            layer["name"]: [step["spikes"] / step["neurons"] for step in layer["steps"]]
            for layer in layers
            if all(step.get("neurons") for step in layer["steps"])
        }


def steps_of(exit: Object) -> float | None:
    """Time-steps of an image with an early exit, in the mean."""
    return exit.get("mean_steps") or exit.get("steps_kept")
