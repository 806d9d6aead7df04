"""Training batches, and the random numbers that order, augment and code them."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..config import Recipe
from ..data import Dataset, Images
from .augment import events as augment_events
from .augment import images as augment

PURPOSES = ("order", "augmentation", "coding", "validation")


def generator(
    seed: int, purpose: str, *where: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Random numbers for one purpose at one place of a run, such as an epoch or a step.

    They depend on nothing else, so that a resumed run draws what an uninterrupted one does.

    Args:
        seed: The recipe's seed.
        purpose: ``"order"``, ``"augmentation"``, ``"coding"`` or ``"validation"``.
        where: Numbers that name the place, such as epoch, step and process.
        device: The device on which numbers are drawn.
    """
    return seeded(torch.Generator(device=device), seed, purpose, *where)


def seeded(
    random: torch.Generator, seed: int, purpose: str, *where: int
) -> torch.Generator:
    """The same numbers out of a generator that is there already (see :func:`generator`)."""
    entropy = [seed, PURPOSES.index(purpose), *where]
    (state,) = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return random.manual_seed(int(state))


class Batches:
    """The training images, all of them on the device, cut into batches and augmented there.

    Args:
        recipe: Its ``batch_size``, ``augment``, ``cutout``, ``validation`` and ``seed`` are
            read.
        dataset: The training images are used; those held out are kept apart.
        device: The device on which batches are made.
        process: The number of this process, from 0.
        processes: How many processes share every batch.

    Raises:
        ValueError: If the training images do not fill one batch, a batch cannot be shared
            evenly, or a change by `augment` or `cutout` is too large for the images.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        device: torch.device,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.recipe, self.device = recipe, device
        self.index, self.held_out = dataset.split(recipe.validation, recipe.seed)
        self.images = dataset.train_images.to(device)
        self.labels = dataset.train_labels.to(device)
        self.classes = len(dataset.class_names)
        self.steps_per_epoch = len(self.index) // recipe.batch_size
        if self.steps_per_epoch == 0:
            raise ValueError(
                f"One batch needs {recipe.batch_size} images, but only {len(self.index)} "
                f"are left to train on. Set a smaller batch_size or validation."
            )
        if recipe.batch_size % processes:
            raise ValueError(
                f"`batch_size` {recipe.batch_size} cannot be shared evenly by {processes} "
                f"processes. Set a multiple of {processes}."
            )
        self.share = slice(process, None, processes)
        self._order = lru_cache(1)(self._shuffled)
        # what does not fit these images is refused now, before a run leaves anything
        self._augment(self.images[:1], generator(0, "augmentation", device=device))

    def batch(self, step: int) -> tuple[Images, Int64[Tensor, " N"] | Float[Tensor, "N K"]]:
        """This process's share of the batch of training step ``step``.

        The whole batch is augmented before it is shared, so that the images do not depend
        on the number of processes. An epoch leaves out the last images that fill no batch.

        Returns:
            The samples and their classes, or where ``augment`` mixes samples the
            probability of each of the ``K`` classes.
        """
        epoch, place = divmod(step, self.steps_per_epoch)
        first = place * self.recipe.batch_size
        chosen = self._order(epoch)[first : first + self.recipe.batch_size]
        random = generator(self.recipe.seed, "augmentation", step, device=self.device)
        images, labels = self._augment(self.images[chosen], random), self.labels[chosen]
        if self.recipe.augment == "event-mix":  # last, since labels mix by what is seen
            images, own, other, share = augment_events.mix(images, labels, random)
            labels = augment_events.probabilities(own, other, share, self.classes)
        return images[self.share], labels[self.share]

    def validation(self) -> tuple[Images, Int64[Tensor, " N"]]:
        """The images held out and their labels; none if none are."""
        held = self.held_out.to(self.device)
        return self.images[held], self.labels[held]

    def _shuffled(self, epoch: int) -> Tensor:
        random = generator(self.recipe.seed, "order", epoch)
        order = torch.randperm(len(self.index), generator=random)
        return self.index[order].to(self.device)

    def _augment(self, images: Tensor, random: torch.Generator) -> Tensor:
        """Change every sample by itself, as the recipe's ``augment`` and ``cutout`` say."""
        if self.recipe.augment == "crop-flip":
            images = augment.flip(augment.crop(images, 4, random), random)
        elif self.recipe.augment == "shift":
            images = augment.crop(images, 1, random)
        elif self.recipe.augment == "nda":
            images = augment_events.nda(images, random)
        if self.recipe.cutout:
            images = augment.cutout(images, self.recipe.cutout, random)
        return images


def likeliest(
    labels: Int64[Tensor, " N"] | Float[Tensor, "N K"],
) -> Int64[Tensor, " N"]:
    """The class of each sample; of a mixture of samples the likelier one."""
    return labels if labels.ndim == 1 else labels.argmax(-1)
