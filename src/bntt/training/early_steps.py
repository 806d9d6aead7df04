"""Training on the first time-steps only, and what the later ones take over (M17)."""

import torch

from ..layers.norms import TemporalNorm
from ..networks.network import Network


@torch.no_grad()
def copy_to_later_steps(net: Network, step: int) -> None:
    """Give every later time-step what the last of the first ``step`` has learned (M17)."""
    norms = (module for module in net.modules() if isinstance(module, TemporalNorm))
    for norm in norms:
        for tensor in (*norm.parameters(), *norm.buffers()):
            tensor[step:] = tensor[step - 1]
