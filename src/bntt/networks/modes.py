"""Another mode for a while, and every layer back in the mode that it was in."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode; each layer's own mode comes back, come what may.

    A user may have frozen some layers' statistics, which ``net.train()`` would thaw.
    """
    with _mode(net, False):
        yield


@contextmanager
def training(net: nn.Module) -> Iterator[None]:
    """Put a network into training mode; each layer's own mode comes back likewise."""
    with _mode(net, True):
        yield


@contextmanager
def _mode(net: nn.Module, mode: bool) -> Iterator[None]:
    modes = [(module, module.training) for module in net.modules()]
    net.train(mode)
    try:
        yield
    finally:
        for module, before in modes:
            module.training = before
