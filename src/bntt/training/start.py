"""Where a run's weights come from: new ones, those it left, those of earlier time-steps."""

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import Recipe
from ..data import Dataset
from ..layers.norms import TemporalNorm
from ..networks import build, checkpoint
from ..networks.modes import evaluating
from ..networks.network import Network
from ..ops.surrogate import Triangle
from ..runs.folder import RunFolder
from ..runs.opened import refuse_other_network
from ..runs.origin import refuse_other_classes
from .state import Progress


@torch.no_grad()
def copy_to_later_steps(net: Network, step: int) -> None:
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
