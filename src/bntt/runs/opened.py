"""What every command takes from a run folder: its network, and the data it names."""

from pathlib import Path

from ..config import Recipe
from ..data import DataOptions, Dataset, load
from ..networks import checkpoint
from ..networks.network import Network
from .folder import RunFolder
from .origin import refuse_other_classes


def dataset_of(recipe: Recipe, root: str | Path | None, *, quiet: bool = True) -> Dataset:
    """The image or event set that a recipe names, as :func:`bntt.data.load`.

    Raises:
        ValueError: If a label is not that of a class.
    """
    dataset = load(recipe.dataset, root, DataOptions.of(recipe), quiet=quiet)
    check_labels(dataset)
    return dataset


def check_labels(dataset: Dataset) -> None:
    """Refuse labels that would be found out only in the middle of an epoch.

    Raises:
        ValueError: If there are not as many as images, or one is not that of a class.
    """
    classes = len(dataset.class_names)
    for part in ("train", "test"):
        images = getattr(dataset, f"{part}_images")
        labels = getattr(dataset, f"{part}_labels")
        if len(labels) != len(images):
            raise ValueError(
                f"{dataset.name!r} has {len(images)} {part} images but {len(labels)} "
                f"labels. Every image needs one."
            )
        odd = labels[(labels < 0) | (labels >= classes)]
        if len(odd):
            raise ValueError(
                f"{dataset.name!r} has {classes} classes, so its labels must lie in "
                f"[0, {classes}), but {len(odd)} of {len(labels)} {part} labels do not, "
                f"such as {int(odd[0])}. Check how they were written."
            )


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
