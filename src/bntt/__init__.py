"""Deep spiking networks trained with Batch Normalization Through Time."""

__version__ = "0.1.0"

from .machine import startup  # noqa: F401 - first, before what takes seconds

# isort: split
from .config import Recipe, load_recipe
from .interchange import load_reference
from .layers.encode import Direct, Poisson
from .layers.neuron import LIF, NormLIF, Readout
from .layers.norm import BNTT, NoNorm, SharedBN
from .machine.hardware import keep_freed_memory
from .networks import build, register
from .networks.checkpoint import load
from .networks.checkpoint import save_network as save
from .networks.network import Network
from .networks.running_statistics import update_statistics
from .networks.sequence import SequenceNet
from .networks.vgg import VGG, vgg5, vgg7, vgg9, vgg11
from .ops import backend, backend_report
from .ops.surrogate import ATan, FastSigmoid, Rectangle, Triangle

__all__ = [
    "BNTT",
    "LIF",
    "VGG",
    "ATan",
    "Direct",
    "FastSigmoid",
    "NoNorm",
    "NormLIF",
    "Poisson",
    "Network",
    "Readout",
    "Recipe",
    "Rectangle",
    "SequenceNet",
    "SharedBN",
    "Triangle",
    "backend",
    "backend_report",
    "build",
    "keep_freed_memory",
    "load",
    "load_recipe",
    "load_reference",
    "register",
    "save",
    "update_statistics",
    "vgg5",
    "vgg7",
    "vgg9",
    "vgg11",
]
