"""Training or evaluation mode for a while, after which each layer has its own again."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode inside a ``with`` block.

    Afterwards each layer has the mode that it had, also if an error ends the block. A plain
    ``net.train()`` would undo the mode of layers whose statistics a user has frozen.
    """
    with _mode(net, False):
        yield


@contextmanager
def training(net: nn.Module) -> Iterator[None]:
    """Put a network into training mode inside a ``with`` block, as :func:`evaluating`."""
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
