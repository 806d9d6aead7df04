"""What a run begins with: a new network, or the one that it left."""

from dataclasses import dataclass, field, replace

import torch

from ..config import Recipe
from ..data import Dataset
from ..networks import build, checkpoint
from ..networks.modes import evaluating
from ..networks.network import Network
from ..ops.surrogate import Triangle
from ..runs.folder import RunFolder
from ..runs.network_values import network_values, refuse_other_network
from ..runs.origin import Origin, check_resume, refuse_other_classes
from .by_recipe import recipe_optimizer
from .optimizer import restore_optimizer
from .state import Progress


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a sitting begins with, whether the run is new or goes on."""

    net: Network
    """The network, on the device that it is trained on."""
    optimizer: torch.optim.Optimizer
    progress: Progress
    warnings: list[str] = field(default_factory=list)
    """Sentences on how the data differ from those that the run learned from so far."""


def fresh(recipe: Recipe, dataset: Dataset, device: torch.device) -> Start:
    """Begin with a new network.

    Args:
        recipe: The recipe of the run.
        dataset: The data that it trains on.
        device: Where it is trained.

    Raises:
        ValueError: If the network does not fit the data.
    """
    net = new_network(recipe, dataset).to(device)
    try_one(net, dataset)
    return Start(net=net, optimizer=recipe_optimizer(recipe, net), progress=Progress())


def resumed(
    recipe: Recipe, dataset: Dataset, device: torch.device, folder: RunFolder, total: int
) -> Start:
    """Begin where the run left off; with a new network if it had saved none.

    Args:
        recipe: The recipe of the run.
        dataset: The data that it trains on.
        device: Where it is trained.
        folder: The run folder.
        total: Training steps in all.

    Raises:
        ValueError: If the data are not those of the run, or ``last.safetensors`` is not
            of this run.
    """
    there, here = Origin.recorded(folder.info()), Origin.of(dataset, recipe)
    warnings = check_resume(folder.path, there, here, recipe)
    if not folder.last.exists():
        return replace(fresh(recipe, dataset, device), warnings=warnings)
    net, tensors, info = checkpoint.read(folder.last)
    refuse_other_network(net, recipe, folder.last)
    refuse_other_classes(folder.path, net.class_names, dataset.class_names)
    progress = Progress.read(info, total, folder.last)
    net = net.to(device).train()
    try_one(net, dataset)
    optimizer = recipe_optimizer(recipe, net)
    restore_optimizer(optimizer, tensors, folder.last)
    return Start(net=net, optimizer=optimizer, progress=progress, warnings=warnings)


def new_network(recipe: Recipe, dataset: Dataset) -> Network:
    """The recipe's network for a set, its weights drawn from the recipe's seed."""
    mean, std = dataset.normalization(recipe.normalize)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return build(
            **network_values(recipe),
            surrogate=Triangle(recipe.surrogate_height),
            num_classes=len(dataset.class_names),
            in_channels=dataset.train_images.shape[-3],
            image_size=dataset.train_images.shape[-1],
            mean=mean,
            std=std,
            class_names=dataset.class_names,
            geometry=dataset.geometry,
        )


@torch.inference_mode()
def try_one(net: Network, dataset: Dataset) -> None:
    """Let one training sample through, so that what does not fit shows before a run begins.

    Args:
        net: The network, on the device that it is trained on.
        dataset: Its first training sample is taken.

    Raises:
        ValueError: If the network cannot take the training and the test samples.
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
