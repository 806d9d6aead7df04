"""Deep spiking networks trained with Batch Normalization Through Time.

The public names are imported when they are first asked for, so that ``bntt --help`` need
not wait for torch.
"""

from .machine import startup  # noqa: F401 - first, before anything that takes time

# isort: split
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .analysis.energy import energy as energy
    from .analysis.spikes import spike_statistics as spike_statistics
    from .config import Recipe as Recipe
    from .config import load_recipe as load_recipe
    from .interchange import load_reference as load_reference
    from .layers.encode import Direct as Direct
    from .layers.encode import Poisson as Poisson
    from .layers.neuron import LIF as LIF
    from .layers.neuron import NormLIF as NormLIF
    from .layers.neuron import Readout as Readout
    from .layers.norms import BNTT as BNTT
    from .layers.norms import NoNorm as NoNorm
    from .layers.norms import SharedBN as SharedBN
    from .machine.hardware import keep_freed_memory as keep_freed_memory
    from .networks import build as build
    from .networks import register as register
    from .networks.checkpoint import save as save
    from .networks.network import Network as Network
    from .networks.running_statistics import update_statistics as update_statistics
    from .networks.sequence import SequenceNet as SequenceNet
    from .networks.stream import stream as stream
    from .networks.vgg import VGG as VGG
    from .networks.vgg import vgg5 as vgg5
    from .networks.vgg import vgg7 as vgg7
    from .networks.vgg import vgg9 as vgg9
    from .networks.vgg import vgg11 as vgg11
    from .ops import backend as backend
    from .ops import backend_report as backend_report
    from .ops.surrogate import ATan as ATan
    from .ops.surrogate import FastSigmoid as FastSigmoid
    from .ops.surrogate import Rectangle as Rectangle
    from .ops.surrogate import Surrogate as Surrogate
    from .ops.surrogate import Triangle as Triangle
    from .runs.load import load as load

_ROOM_OF = {
    name: room
    for room, names in {
        "analysis.energy": ("energy",),
        "analysis.spikes": ("spike_statistics",),
        "config": ("Recipe", "load_recipe"),
        "interchange": ("load_reference",),
        "layers.encode": ("Direct", "Poisson"),
        "layers.neuron": ("LIF", "NormLIF", "Readout"),
        "layers.norms": ("BNTT", "NoNorm", "SharedBN"),
        "machine.hardware": ("keep_freed_memory",),
        "networks": ("build", "register"),
        "networks.checkpoint": ("save",),
        "networks.network": ("Network",),
        "networks.running_statistics": ("update_statistics",),
        "networks.sequence": ("SequenceNet",),
        "networks.stream": ("stream",),
        "networks.vgg": ("VGG", "vgg5", "vgg7", "vgg9", "vgg11"),
        "ops": ("backend", "backend_report"),
        "ops.surrogate": ("ATan", "FastSigmoid", "Rectangle", "Surrogate", "Triangle"),
        "runs.load": ("load",),
    }.items()
    for name in names
}
__all__ = sorted(_ROOM_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """A public name, or a room of the package, imported now."""
    if name in _ROOM_OF:
        value = getattr(import_module(f".{_ROOM_OF[name]}", __name__), name)
        globals()[name] = value  # the next time it is found without asking
        return value
    if name == "surrogate":  # where it lay in version 0.1
        return import_module(".ops.surrogate", __name__)
    try:
        return import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
