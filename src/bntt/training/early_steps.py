"""Training on the first time-steps only, and what the later ones take over (M17)."""

import torch

from ..config import Recipe
from ..layers.norms import TemporalNorm
from ..networks.network import Network


def trained_steps(recipe: Recipe, epoch: int) -> int | None:
    """How many time-steps epoch ``epoch``, from 0, trains on; None for all of them."""
    return recipe.early_steps if epoch < recipe.early_epochs else None


@torch.no_grad()
def copy_to_later_steps(net: Network, step: int) -> None:
    """Give every later time-step what the last of the first ``step`` has learned (M17)."""
    norms = (module for module in net.modules() if isinstance(module, TemporalNorm))
    for norm in norms:
        for tensor in (*norm.parameters(), *norm.buffers()):
            tensor[step:] = tensor[step - 1]
