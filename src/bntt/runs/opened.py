"""A run opened once, for every command: its recipe, its best network, and its data."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from ..config import Recipe
from ..data import DataOptions, Dataset, Images, load
from ..data.geometry import Geometry, recalled
from ..machine import hardware
from ..networks import checkpoint
from ..networks.network import Network
from .folder import RunFolder
from .network_values import refuse_other_network
from .origin import Origin, check_evaluation, refuse_other_classes


@dataclass(frozen=True, kw_only=True)
class OpenedRun:
    """A run whose files were read and found to belong together (see :func:`open_run`)."""

    folder: RunFolder
    recipe: Recipe
    """The recipe as it was resolved when the run began."""
    net: Network
    """The best network that the run has saved, in evaluation mode, on :attr:`device`."""
    trained_steps: int
    """How many of the network's first time-steps were trained: fewer than all of them if
    the run was stopped in its early epochs (M17)."""
    device: torch.device
    precision: str
    """``"float32"`` or ``"bfloat16"``: the run's, unless the device would emulate it."""
    precision_warning: str
    """What there is to say if :attr:`precision` is not the run's; empty if it is."""

    def load_data(
        self, root: str | Path | None = None, *, quiet: bool = True
    ) -> tuple[Dataset, list[str]]:
        """The data of the run, compared with those that it learned from.

        Args:
            root: Where the data lie (see :func:`bntt.data.load`).
            quiet: Whether to show no progress.

        Returns:
            The data, and sentences on what is different or could not be compared.

        Raises:
            FileNotFoundError: If the data are not there.
            ValueError: If the classes are others, or samples moved between training and
                test, so that answers would count as something else than they are.
        """
        dataset = dataset_of(self.recipe, root, quiet=quiet)
        there = Origin.recorded(self.folder.info())
        here = Origin.of(dataset, self.recipe)
        warnings = check_evaluation(self.folder.path, there, here, self.recipe)
        refuse_other_classes(self.folder.path, self.net.class_names, dataset.class_names)
        changed = _geometry_warning(self.net, dataset)
        return dataset, [*warnings, *filter(None, [changed])]

    def held_out(self, dataset: Dataset) -> tuple[Images, Int64[Tensor, " N"]]:
        """The images that the run held out of its training set, and their classes.

        Args:
            dataset: The data of the run (:meth:`load_data`).

        Raises:
            ValueError: If the run held none out, or other images than would be now, so that
                they may be among those that it learned from.
        """
        path, wanted = self.folder.path, self.recipe.validation
        if wanted == 0:
            raise ValueError(
                f"{path} held no images out of training (validation = 0), so there are "
                f"none to choose a threshold on. Train again with --set validation=N, or "
                f"give a threshold yourself."
            )
        there = Origin.recorded(self.folder.info()).held_out_sha256
        here = Origin.of(dataset, self.recipe).held_out_sha256
        if there is not None and there != here:
            raise ValueError(
                f"The images that {path} held out of training are not those that would be "
                f"held out of these data: it may have learned from them. Give the data "
                f"that it was trained on with --data DIR."
            )
        _, held_out = dataset.split(wanted, self.recipe.seed)
        return dataset.train_images[held_out], dataset.train_labels[held_out]

    def load_tested(
        self,
        root: str | Path | None = None,
        *,
        num_steps: int | None = None,
        quiet: bool = True,
    ) -> tuple[Dataset, list[str]]:
        """The data to test on, and all that a reader must know of an answer on them.

        Args:
            root: As :meth:`load_data`.
            num_steps: How many time-steps are asked for; all of them if omitted.
            quiet: As :meth:`load_data`.

        Raises:
            FileNotFoundError: As :meth:`load_data`.
            ValueError: As :meth:`load_data`, or if there are not so many time-steps.
        """
        self.net.check_steps(num_steps)  # before data are read, which may take long
        dataset, warnings = self.load_data(root, quiet=quiet)
        return dataset, [*warnings, *self.warnings(num_steps)]

    def warnings(self, num_steps: int | None = None) -> list[str]:
        """What a reader must know of the run before believing any number that it gives.

        Args:
            num_steps: How many time-steps are asked for; all of them if omitted.
        """
        untrained = self.untrained_warning(num_steps)
        found = (self.precision_warning, untrained, self.unfinished_warning())
        return [sentence for sentence in found if sentence]

    def untrained_warning(self, num_steps: int | None = None) -> str:
        """A sentence if time-steps are asked for that were never trained; or nothing.

        Args:
            num_steps: How many time-steps are asked for; all of them if omitted.
        """
        trained = self.trained_steps
        if trained >= (num_steps or self.net.num_steps):
            return ""
        return (
            f"The run was stopped in its early epochs, which train the first {trained} "
            f"time-step{'s' * (trained > 1)} only: what it says after later ones comes of "
            f"statistics that were never learned. Go on with --resume, or ask for "
            f"--num-steps {trained}."
        )

    def unfinished_warning(self) -> str:
        """A sentence if the run has not come to its end; or nothing."""
        status = self.folder.status()
        if status in ("finished", "unknown"):
            return ""
        states = {
            "running": "is still being trained",
            "killed": "was killed before its end",
            "interrupted": "was interrupted before its end",
        }
        return (
            f"{self.folder.path} {states.get(status, f'ended as {status!r}')}: these are "
            f"the best weights that it had saved so far."
        )

    def geometry(self) -> tuple[Geometry, str]:
        """How training made its images of pictures, and a sentence on what is not known.

        Checkpoints of older versions do not hold it; then it is told by the recipe.
        """
        if self.net.geometry is not None:
            return self.net.geometry, ""
        sizes = (self.net.in_channels, self.net.image_size)
        geometry = recalled(self.recipe.dataset, *sizes)
        if self.recipe.dataset == "npz" and self.recipe.image_size:
            return geometry, (
                "This run is too old to say whether its arrays had a border of zeros: the "
                "picture was scaled to all of the image. Train again to be sure."
            )
        return geometry, ""


def open_run(path: str | Path, *, device: str = "auto") -> OpenedRun:
    """Open a run: read its recipe and its best checkpoint, and check that they agree.

    Args:
        path: The run folder.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``: where its network is wanted.

    Raises:
        FileNotFoundError: If there is no such run, or it has saved no network yet.
        ValueError: If a file is not what it should be, or not of this run.
    """
    folder = RunFolder(path)
    recipe = folder.recipe()
    net, trained = best_network(folder, recipe)
    where = hardware.device(device)
    precision, warning = _precision(recipe, where)
    return OpenedRun(
        folder=folder,
        recipe=recipe,
        net=net.to(where),
        trained_steps=trained,
        device=where,
        precision=precision,
        precision_warning=warning,
    )


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


def best_network(folder: RunFolder, recipe: Recipe) -> tuple[Network, int]:
    """The run's best network, and how many of its first time-steps were trained.

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
    early = recipe.trained_steps(epoch - 1) if type(epoch) is int else None
    return net, early or net.num_steps


def _precision(recipe: Recipe, where: torch.device) -> tuple[str, str]:
    """The precision to run a network in, and what to say if it is not the run's."""
    if recipe.precision == "bfloat16" and not hardware.bf16_in_hardware(where):
        return "float32", (
            f"The run was trained in bfloat16, which this {where.type} would only emulate; "
            f"it is evaluated in float32."
        )
    return hardware.precision(recipe.precision, where)[0], ""


def _geometry_warning(net: Network, dataset: Dataset) -> str:
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
