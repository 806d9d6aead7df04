"""Running statistics computed again, as averages over data (M21)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..layers.norms import TemporalNorm
from ..ops.arguments import value_and_type
from .modes import training
from .network import Network


@torch.no_grad()
def update_statistics(
    net: Network, loader: Iterable[Any], *, generator: torch.Generator | None = None
) -> None:
    """Replace the running statistics by their averages over all batches of a loader (M21).

    Weights that were not trained with these statistics need this: averaged weights
    (``torch.optim.swa_utils``, whose ``update_bn`` knows no temporal norms), and merged or
    rounded ones. Every batch counts the same, whatever its size, as in ``update_bn``, and
    the norms' momentum has no influence. Each module keeps its training flag.

    Args:
        net: The network, of which nothing but the statistics changes.
        loader: Batches of images, or tuples that begin with one. Bytes are normalised first
            (:meth:`Network.normalize`); floating-point input is fed as it is.
        generator: Source of the encoder's random numbers, on the network's device.

    Raises:
        TypeError: If ``net`` is no network, or a batch no tensor.
        ValueError: If there is no batch, no norm keeps statistics, or a batch does not
            fit. The statistics are then what they were.

    Example:
        >>> from bntt import vgg5
        >>> net = vgg5(num_classes=2, num_steps=3, leak=0.9, image_size=8)
        >>> update_statistics(net, [torch.randn(4, 3, 8, 8) for _ in range(2)])
    """
    if not isinstance(net, Network):
        raise TypeError(
            f"Statistics are taken of a bntt.Network, got a {type(net).__name__}. If that "
            f"wraps one (DistributedDataParallel: .module, torch.compile: ._orig_mod), "
            f"give what is inside."
        )
    norms = [m for m in net.modules() if isinstance(m, TemporalNorm) and _keeps(m)]
    if not norms:
        raise ValueError(f"{net.arch} has no norm that keeps running statistics.")
    count = 0
    with training(net), _averaging(norms):
        for count, batch in enumerate(loader, 1):
            for norm in norms:
                norm.momentum = 1 / count
            images = _images(batch).to(net.mean.device)
            if not images.is_floating_point():
                images = net.normalize(images)
            net(images, generator=generator)
        if count == 0:
            raise ValueError(
                "The loader gave no batch to take statistics of. An iterator that was used "
                "up gives none: pass the loader itself."
            )


def _images(batch: Any) -> Tensor:
    images = batch[0] if isinstance(batch, (list, tuple)) and batch else batch
    if not isinstance(images, Tensor):
        raise TypeError(
            f"The loader must give tensors of images, or tuples that begin with one, got "
            f"{value_and_type(images)}."
        )
    return images


def _keeps(norm: TemporalNorm) -> bool:
    return "running_mean" in dict(norm.named_buffers())


@contextmanager
def _averaging(norms: list[TemporalNorm]) -> Iterator[None]:
    """Restore the norms' momentum at the end, and their statistics too after an error."""
    momenta = [norm.momentum for norm in norms]
    before: list[tuple[Tensor, Tensor]] = [
        (buffer, buffer.clone()) for norm in norms for buffer in norm.buffers()
    ]
    try:
        yield
    except BaseException:
        for buffer, values in before:
            buffer.copy_(values)
        raise
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
