"""Training batches: order, augmentation and coding noise, each from (seed, epoch, step)."""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from ..config import Recipe
from ..data import Dataset, Images
from .augment import events as augment_events
from .augment import images as augment

PURPOSES = ("order", "augmentation", "coding", "validation")


def generator(
    seed: int, purpose: str, *where: int, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Random numbers for one purpose at one place of a run, the same at every visit.

    Args:
        seed: The recipe's.
        purpose: ``"order"``, ``"augmentation"``, ``"coding"`` or ``"validation"``.
        where: Such as epoch, step and process.
        device: Where the numbers are wanted.
    """
    entropy = [seed, PURPOSES.index(purpose), *where]
    (state,) = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return torch.Generator(device=device).manual_seed(int(state))


class Batches:
    """The training images, whole on the device, cut and augmented there.

    Args:
        recipe: Its ``batch_size``, ``augment``, ``cutout``, ``validation`` and ``seed`` are
            read.
        dataset: The training images are used; those held out are kept apart.
        device: Where batches are wanted.
        process: This process's number, of ``processes`` that share every batch.

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
        self._augment(self.images[:1], 0)

    def batch(self, step: int) -> tuple[Images, Int64[Tensor, " N"]]:
        """This process's share of the batch of training step ``step``.

        The whole batch is augmented before it is shared, so that the images do not depend
        on the number of processes. An epoch leaves out the last images that fill no batch.
        """
        epoch, place = divmod(step, self.steps_per_epoch)
        first = place * self.recipe.batch_size
        chosen = self._order(epoch)[first : first + self.recipe.batch_size]
        images = self._augment(self.images[chosen], step)
        return images[self.share], self.labels[chosen][self.share]

    def validation(self) -> tuple[Images, Int64[Tensor, " N"]]:
        """The images held out and their labels; none if none are."""
        held = self.held_out.to(self.device)
        return self.images[held], self.labels[held]

    def _shuffled(self, epoch: int) -> Tensor:
        random = generator(self.recipe.seed, "order", epoch)
        order = torch.randperm(len(self.index), generator=random)
        return self.index[order].to(self.device)

    def _augment(self, images: Tensor, step: int) -> Tensor:
        random = generator(self.recipe.seed, "augmentation", step, device=self.device)
        if self.recipe.augment == "crop-flip":
            images = augment.flip(augment.crop(images, 4, random), random)
        elif self.recipe.augment == "shift":
            images = augment.crop(images, 1, random)
        elif self.recipe.augment == "nda":
            images = augment_events.nda(images, random)
        if self.recipe.cutout:
            images = augment.cutout(images, self.recipe.cutout, random)
        return images
