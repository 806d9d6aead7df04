"""Where a run's weights come from: new ones, those it left, those of earlier time-steps."""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import checkpoint
from .architectures import build
from .config import Recipe
from .data import Dataset
from .network import Network
from .norm import TemporalNorm
from .run_folder import RunFolder
from .surrogate import Triangle


@dataclass
class Progress:
    """How far a run has come; travels in ``last.safetensors``."""

    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    loss_sum: float = 0.0
    right: int = 0
    seen: int = 0

    def count(self, losses: list[float], right: int, seen: int) -> None:
        """Add what the last steps of this epoch gave."""
        self.loss_sum += sum(losses)
        self.right, self.seen = self.right + right, self.seen + seen

    def start_epoch(self) -> None:
        """Forget what the epoch that is over gave."""
        self.loss_sum, self.right, self.seen = 0.0, 0, 0


@torch.no_grad()
def hand_over(net: Network, step: int) -> None:
    """Give every later time-step what the last of the first ``step`` has learned (M17)."""
    norms = (module for module in net.modules() if isinstance(module, TemporalNorm))
    for norm in norms:
        for tensor in (*norm.parameters(), *norm.buffers()):
            tensor[step:] = tensor[step - 1]


def begin(
    recipe: Recipe, dataset: Dataset, folder: RunFolder, resume: bool
) -> tuple[Network, dict[str, Tensor], Progress]:
    """The network as the run left it, or a new one."""
    if resume and folder.last.exists():
        net, tensors, info = checkpoint.read(folder.last)
        return net.train(), tensors, Progress(**info)
    return new_network(recipe, dataset), {}, Progress()


def new_network(recipe: Recipe, dataset: Dataset) -> Network:
    """The recipe's network for this image set, its weights drawn from the recipe's seed."""
    mean, std = dataset.normalization(recipe.normalize)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return build(
            recipe.arch,
            num_classes=len(dataset.class_names),
            num_steps=recipe.num_steps,
            leak=recipe.leak,
            in_channels=dataset.train_images.shape[-3],
            image_size=dataset.train_images.shape[-1],
            norm=recipe.norm,
            window=recipe.window,
            encoder=recipe.encoder,
            permutation=recipe.permutation,
            v_threshold=recipe.v_threshold,
            surrogate=Triangle(recipe.surrogate_height),
            mean=mean,
            std=std,
            class_names=dataset.class_names,
        )
