"""Where a run's weights come from: new ones, those it left, those of earlier time-steps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .config import Recipe
from .data import Dataset
from .layers.norm import TemporalNorm
from .networks import build, checkpoint
from .networks.modes import evaluating
from .networks.network import Network
from .ops.surrogate import Triangle
from .runs.folder import RunFolder
from .runs.origin import refuse_other_classes


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


def left_off(
    recipe: Recipe, dataset: Dataset, folder: RunFolder, total: int
) -> tuple[Network, dict[str, Tensor], Progress]:
    """The network, optimiser and progress as the run left them, or new ones.

    Args:
        recipe: Of the run.
        dataset: That it trains on.
        folder: Of the run.
        total: Training steps in all.

    Raises:
        ValueError: If ``last.safetensors`` is not that of this run.
    """
    if not folder.last.exists():
        return new_network(recipe, dataset), {}, Progress()
    net, tensors, info = checkpoint.read(folder.last)
    refuse_other_network(net, recipe, folder.last)
    refuse_other_classes(folder.path, net.class_names, dataset.class_names)
    return net.train(), tensors, _progress(info, total, folder.last)


def best(recipe: Recipe, folder: RunFolder) -> tuple[Network, int]:
    """The network to evaluate, and how many of its time-steps were trained.

    Raises:
        FileNotFoundError: If the run has saved none yet.
        ValueError: If ``best.safetensors`` is not that of this run.
    """
    net, _, info = checkpoint.read(folder.best)
    refuse_other_network(net, recipe, folder.best)
    names = folder.info().get("class_names")
    if names is not None:
        refuse_other_classes(folder.path, names, net.class_names)
    epoch = info.get("epoch")
    early = type(epoch) is int and epoch <= recipe.early_epochs
    return net, recipe.early_steps if early else net.num_steps


def untrained(trained: int, shown: int) -> str:
    """A sentence on the time-steps that are shown and were not trained; or nothing.

    Args:
        trained: How many of the first time-steps were.
        shown: How many are answered for.
    """
    if trained >= shown:
        return ""
    return (
        f"The run was stopped in its early epochs, which train the first {trained} "
        f"time-step{'s' * (trained > 1)} only: what it says after later ones comes of "
        f"statistics that were never learned. Go on with --resume, or ask for "
        f"--num-steps {trained}."
    )


def refuse_other_network(net: Network, recipe: Recipe, path: Path) -> None:
    """Refuse a checkpoint that another recipe made.

    Raises:
        ValueError: Naming the file and what differs.
    """
    config = net.config
    names = ("arch", "num_steps", "leak", "norm", "window", "encoder", "v_threshold")
    differing = ", ".join(
        f"{name} ({config[name]} in the file, {getattr(recipe, name)} in the recipe)"
        for name in names
        if name in config and config[name] != getattr(recipe, name)
    )
    if differing:
        raise ValueError(
            f"{path} is not of the run whose recipe lies beside it: {differing}. Put the "
            f"run's own checkpoint back, or take the folder that this one came from."
        )


def other_geometry(net: Network, dataset: Dataset) -> str:
    """A sentence if the images are not made as those were that the network learned from."""
    if net.geometry is None or dataset.geometry in (None, net.geometry):
        return ""
    there, here = net.geometry.to_config(), dataset.geometry.to_config()
    differing = ", ".join(
        f"{name} ({there.get(name)} there, {here.get(name)} here)"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    )
    return f"The images are not made as those of training were: {differing}."


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
            geometry=dataset.geometry,
        )


@torch.inference_mode()
def try_one(net: Network, dataset: Dataset) -> None:
    """Let one training image through, so that what does not fit shows before a run begins.

    Raises:
        ValueError: If it does not.
    """
    shapes = [tuple(part.shape[1:]) for part in (dataset.train_images, dataset.test_images)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{dataset.name!r} has training samples of shape {shapes[0]}, but test samples "
            f"of shape {shapes[1]}: one network cannot take both."
        )
    events = net.encoder_name == "events"
    if events != dataset.events:
        what = "frames of events" if dataset.events else "images"
        other = "'events'" if dataset.events else "another one than 'events'"
        raise ValueError(
            f"{dataset.name!r} holds {what} of shape {shapes[0]}, for which "
            f"encoder={net.encoder_name!r} is not made. Set encoder to {other}."
        )
    image = dataset.train_images[:1].to(net.mean.device)
    # its own random numbers, or a caller's would be used up
    random = torch.Generator(device=image.device).manual_seed(0)
    with evaluating(net):
        net(net.normalize(image), generator=random)


def _progress(info: Mapping[str, Any], total: int, path: Path) -> Progress:
    """The progress that travelled in a checkpoint.

    Raises:
        ValueError: If it is none, as in a copy of the best checkpoint, or impossible.
    """
    names = {field.name for field in fields(Progress)}
    if set(info) != names:
        raise ValueError(
            f"{path} does not say how far training came, as a run's last checkpoint does; "
            f"it says {', '.join(map(str, info)) or 'nothing'}. Is it a copy of another "
            f"file? Put back the run's own, or start again in another folder."
        )
    numbers = [info[name] for name in ("seconds", "best", "loss_sum")]
    counts = [info[name] for name in ("step", "right", "seen")]
    possible = (
        all(type(n) in (int, float) and math.isfinite(n) for n in numbers)
        and all(type(n) is int and n >= 0 for n in counts)
        and 0 < info["step"] <= total
        and info["right"] <= info["seen"]
    )
    if not possible:
        raise ValueError(
            f"{path} says that training came to {dict(info)}, which cannot be in a run of "
            f"{total} steps: it was changed. Start again in another folder."
        )
    return Progress(**info)
