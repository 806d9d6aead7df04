"""The steps and epochs of one sitting."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from ..analysis.accuracy import count_correct
from ..analysis.early_exit.gains import mean_gains
from ..config import Recipe
from ..machine.interrupt import stoppable
from ..networks import checkpoint
from ..networks.network import Network
from ..ops.arguments import on_trust
from ..runs.folder import RunFolder
from .activity import Activity
from .batches import Batches, likeliest, seeded
from .by_recipe import recipe_loss, recipe_penalty, recipe_rate
from .early_steps import copy_to_later_steps
from .log import TrainingLog
from .optimizer import optimizer_tensors, set_rate
from .replay import Replayed, cuda_graph, rate_on_device
from .spike_rates import SpikeRates
from .start import Start
from .state import Progress

SAVE_EVERY = 60.0
"""Seconds between checkpoints: what a killed run loses at most."""


@dataclass(kw_only=True)
class TrainingLoop:
    """Trains from where a run is to its end, or until somebody asks it to stop."""

    recipe: Recipe
    folder: RunFolder
    accelerator: Accelerator
    net: Network
    """The network itself, which is validated and saved."""
    model: torch.nn.Module
    """The network as it is trained: with several processes, in a wrapper."""
    optimizer: Any
    batches: Batches
    progress: Progress
    log: TrainingLog
    coding: torch.Generator
    """Random numbers for the coding of images, seeded anew at every step."""
    activity: Activity | None = None
    """Counts the synaptic operations, where the recipe makes them a cost."""
    replay: bool = False
    """Whether steps are recorded and replayed (:mod:`bntt.training.replay`)."""
    learning: dict[int | None, Callable[..., tuple[Tensor, ...]]] = field(
        default_factory=dict
    )
    """What learns from a batch, by the number of time-steps; one at a time."""
    pending: list[tuple[Tensor, ...]] = field(default_factory=list)
    """What :meth:`learn` returned for the steps since the last log entry, still on the
    device: to read it is to wait for that."""
    saved: float = field(default_factory=time.monotonic)
    """When the last checkpoint was written, in seconds of the monotonic clock."""

    @classmethod
    def of(
        cls,
        start: Start,
        recipe: Recipe,
        folder: RunFolder,
        accelerator: Accelerator,
        batches: Batches,
        quiet: bool,
        replay: bool = False,
    ) -> "TrainingLoop":
        """The loop of a sitting that begins so."""
        if replay:
            rate_on_device(start.optimizer, accelerator.device)
        model, optimizer = accelerator.prepare(start.net, start.optimizer)
        log = TrainingLog(
            *(recipe, folder, batches.steps_per_epoch, start.progress.step),
            main=accelerator.is_main_process,
            quiet=quiet,
        )
        return cls(
            recipe=recipe,
            folder=folder,
            accelerator=accelerator,
            net=start.net,
            model=model,
            optimizer=optimizer,
            batches=batches,
            progress=start.progress,
            log=log,
            coding=torch.Generator(device=accelerator.device),
            activity=Activity(start.net) if recipe.activity_penalty else None,
            replay=replay,
        )

    @property
    def main(self) -> bool:
        """Whether this process, of several that share a run, is the one that speaks."""
        return self.accelerator.is_main_process

    def run(self, log_every: int) -> dict[str, Any]:
        """Train, and return what :func:`bntt.training.train.train` does.

        Args:
            log_every: Steps between two entries of the log.
        """
        per_epoch, done = self.batches.steps_per_epoch, self.progress.step
        total = self.recipe.epochs * per_epoch
        if done == total:
            return self.summary("finished")
        with stoppable() as asked, self.log:
            for step in range(done, total):
                self.pending.append(self.step(step))
                epoch_ends = (step + 1) % per_epoch == 0
                if epoch_ends or (step + 1) % log_every == 0:
                    self.tell(step)
                if epoch_ends:
                    self.finish_epoch(step)
                stopping = self.stopping(asked)
                if stopping or epoch_ends or time.monotonic() - self.saved > SAVE_EVERY:
                    self.tell(step)
                    self.save()
                if stopping:
                    return self.summary("interrupted")
        return self.summary("finished")

    def step(self, step: int) -> tuple[Tensor, ...]:
        """One training step; what :meth:`learn` returns, on the device."""
        self.begin_later_steps(step)
        images, labels = self.batches.batch(step)
        per_epoch = self.batches.steps_per_epoch
        set_rate(self.optimizer, recipe_rate(self.recipe, step, per_epoch))
        where = (step, self.accelerator.process_index)
        seeded(self.coding, self.recipe.seed, "coding", *where)
        learn = self.learner(self.recipe.trained_steps(step // per_epoch))
        # to look for NaN is to wait for the device, and bytes hold none
        with nullcontext() if images.is_floating_point() else on_trust():
            return learn(images, labels)

    def learner(self, num_steps: int | None) -> Callable[..., tuple[Tensor, ...]]:
        """What learns from a batch on so many time-steps."""
        if num_steps not in self.learning:
            learn: Any = partial(self.learn, num_steps)
            learn = Replayed(learn, cuda_graph(self.coding)) if self.replay else learn
            self.learning = {num_steps: learn}
        return self.learning[num_steps]

    def learn(
        self, num_steps: int | None, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, ...]:
        """Forward, backward and the optimiser's step; none of it waits for the device.

        Returns:
            The loss, how many answers were correct, and where activity is a cost the share
            of synaptic operations.
        """
        with self.activity.watching() if self.activity else nullcontext():
            means = self.model(
                self.net.normalize(images),
                per_step=True,
                num_steps=num_steps,
                generator=self.coding,
            )
        value = recipe_loss(self.recipe, means, labels)
        shares = [self.activity.rate()] if self.activity else []
        for share in shares:
            value = value + recipe_penalty(self.recipe, share)
        self.optimizer.zero_grad()
        self.accelerator.backward(value)
        self.optimizer.step()
        correct = (means[-1].argmax(-1) == likeliest(labels)).sum()
        return value.detach(), correct, *(share.detach() for share in shares)

    def begin_later_steps(self, step: int) -> None:
        """Where a stage of early epochs ends: later time-steps take over from it (M17).

        The best accuracy so far was one of fewer time-steps, and does not count any more.
        """
        epoch, place = divmod(step, self.batches.steps_per_epoch)
        before = self.recipe.trained_steps(epoch - 1) if epoch > 0 else None
        if place or before is None or before == self.recipe.trained_steps(epoch):
            return
        copy_to_later_steps(self.net, before)
        self.progress.best = -1.0

    def tell(self, step: int) -> None:
        """Read what the device gathered since the last entry, and tell of it.

        Of a batch shared among processes, each counts its own share.
        """
        if not self.pending:
            return
        parts = (torch.stack(part) for part in zip(*self.pending, strict=True))
        losses, correct, *shares = parts
        self.log.refuse_nan(step + 1 - len(losses), losses.tolist())
        self.log.refuse_nonfinite(step, self.net.state_dict())
        seen = len(losses) * self.recipe.batch_size // self.accelerator.num_processes
        self.progress.count(losses.tolist(), int(correct.sum()), seen)
        self.progress.step = step + 1
        activity = {"operation_rate": shares[0].mean().item()} if shares else {}
        self.log.steps(step, losses.tolist(), self.progress, activity)
        self.pending.clear()

    def finish_epoch(self, step: int) -> None:
        """Validate, keep the best weights, tell of the epoch."""
        epoch = (step + 1) // self.batches.steps_per_epoch
        if self.main:
            rates = SpikeRates()
            with rates.watching(self.net):
                validation = self.validate(epoch - 1)
            self.progress.seconds += self.log.lap()
            # without images held out, the last epoch counts
            score = validation[-1] if validation else float(epoch)
            if score >= self.progress.best:  # of equals, the one trained longest
                self.progress.best = score
                checkpoint.write(self.folder.best, self.net, info={"epoch": epoch})
            layers = {"gains": self.gains(epoch - 1), "spike_rates": rates.by_layer()}
            self.log.epoch(step, validation, self.progress, layers)
        self.progress.start_epoch()
        self.accelerator.wait_for_everyone()

    def validate(self, epoch: int) -> list[float]:
        """Accuracy after each time-step on the images held out; empty if there are none."""
        images, labels = self.batches.validation()
        if len(images) == 0:
            return []
        correct = count_correct(
            *(self.net, images, labels),
            seed=self.recipe.seed,
            num_steps=self.recipe.trained_steps(epoch),
            precision=self.recipe.precision,
        )
        return [right / len(images) for right in correct.tolist()]

    def gains(self, epoch: int) -> dict[str, list[float]]:
        """Each layer's mean gain at every time-step that is trained (M23); or none."""
        if self.recipe.norm != "bntt":
            return {}
        steps = self.recipe.trained_steps(epoch)
        return {name: means[:steps] for name, means in mean_gains(self.net).items()}

    def save(self) -> None:
        """Write everything that resuming needs, in one file."""
        if self.main:
            tensors = dict(optimizer_tensors(self.optimizer))
            self.log.refuse_nonfinite(self.progress.step - 1, tensors)
            checkpoint.write(self.folder.last, self.net, tensors, self.progress.to_dict())
            seconds = round(self.progress.seconds, 1)
            self.folder.update(step=self.progress.step, seconds=seconds)
        self.saved = time.monotonic()

    def stopping(self, asked: list[int]) -> bool:
        """Whether any process was asked to stop."""
        if self.accelerator.num_processes == 1:
            return bool(asked)
        if asked:
            self.accelerator.set_trigger()
        return self.accelerator.check_trigger()

    def summary(self, status: str) -> dict[str, Any]:
        """Record how the sitting ended, and return what training returns."""
        validated = len(self.batches.held_out) > 0 and self.progress.best >= 0
        values = {
            "status": status,
            "seconds": round(self.progress.seconds, 1),
            "validation_accuracy": self.progress.best if validated else None,
        }
        if self.main:
            self.folder.end(**values)
        # nobody leaves before everything is written
        self.accelerator.wait_for_everyone()
        place = {"out": str(self.folder.path), "epochs": self.recipe.epochs}
        return {**values, **place, "step": self.progress.step, "main": self.main}
