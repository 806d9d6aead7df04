"""One recipe to one run folder."""

import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor

from . import checkpoint, hardware
from .batches import Batches, dataset_of, generator
from .config import Recipe
from .data import Dataset
from .evaluate import count_correct
from .interrupt import stoppable
from .journal import Journal
from .network import Network
from .objective import (
    learning_rate,
    loss,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from .run_folder import RunFolder
from .weights import Progress, begin, hand_over

SAVE_EVERY = 60.0
"""Seconds between checkpoints: what a killed run loses at most."""


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    data: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    log_every: int | None = None,
    command: str = "",
    quiet: bool = False,
) -> dict[str, Any]:
    """Train a network by a recipe; everything about it goes into the folder ``out``.

    Args:
        recipe: What to train, and how.
        out: Run folder: new, or with ``resume`` that of an unfinished run.
        data: Where the image set lies (see :func:`bntt.data.load`).
        resume: Continue from ``last.safetensors`` to the weights that an uninterrupted run
            ends with (bit for bit on a CPU).
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        log_every: Steps between log entries, each of which waits for the device: 1 on a
            CPU and 20 elsewhere if omitted.
        command: Recorded in the run folder.
        quiet: Whether to show no progress.

    Returns:
        ``status`` (``"finished"`` or ``"interrupted"``), ``out``, ``epochs``, ``step``,
        ``seconds`` and ``validation_accuracy`` (the best, None without a split).

    Raises:
        ValueError: If the recipe does not fit the data or the folder's.
        OSError: If the folder cannot be used.
        FloatingPointError: If the loss is not finite; says at which step.
    """
    where = hardware.device(device)
    precision, why = hardware.precision(recipe.precision, where)
    recipe = replace(recipe, precision=precision)
    accelerator = _accelerator(precision, where)
    process, processes = accelerator.process_index, accelerator.num_processes
    dataset = dataset_of(recipe, data, quiet=quiet)
    batches = Batches(recipe, dataset, accelerator.device, process, processes)
    folder = RunFolder(out)
    if resume:
        folder.resume(recipe)
    # first of all, since a network that does not fit must leave no folder behind
    net, tensors, progress = begin(recipe, dataset, folder, resume)
    if not resume and accelerator.is_main_process:
        folder.start(
            recipe,
            {
                "command": command,
                "device": str(accelerator.device),
                "processes": processes,
                "seed": recipe.seed,
                "precision": precision,
                "precision_because": why,
                **_images(batches, dataset),
            },
        )
    accelerator.wait_for_everyone()
    optimizer = make_optimizer(recipe, net.to(accelerator.device))
    if tensors:
        restore_optimizer(optimizer, tensors)
    if resume and accelerator.is_main_process:
        folder.rewind_log(progress.step)
        folder.update(status="running")
    model, optimizer = accelerator.prepare(net, optimizer)
    run = _Run(recipe, folder, accelerator, net, model, optimizer, batches, progress)
    if dataset.note and accelerator.is_main_process and not quiet:
        print(f"Note: {dataset.note}", file=sys.stderr)
    return run.loop(log_every or (1 if where.type == "cpu" else 20), quiet)


@dataclass
class _Run:
    recipe: Recipe
    folder: RunFolder
    accelerator: Accelerator
    net: Network
    model: torch.nn.Module
    optimizer: Any
    batches: Batches
    progress: Progress

    def loop(self, log_every: int, quiet: bool) -> dict[str, Any]:
        """Train from where the run is to where it ends, or to an interrupt."""
        self.main = self.accelerator.is_main_process
        self.pending: list[tuple[Tensor, Tensor]] = []
        per_epoch, done = self.batches.steps_per_epoch, self.progress.step
        self.journal = Journal(
            self.recipe, self.folder, per_epoch, done, main=self.main, quiet=quiet
        )
        saved = time.monotonic()
        with stoppable() as stop, self.journal:
            for step in range(done, self.recipe.epochs * per_epoch):
                self.pending.append(self.step(step))
                epoch_ends = (step + 1) % per_epoch == 0
                if epoch_ends or (step + 1) % log_every == 0:
                    self.log(step)
                if epoch_ends:
                    self.finish_epoch(step)
                stopping = self.stopping(stop)
                if stopping or epoch_ends or time.monotonic() - saved > SAVE_EVERY:
                    self.log(step)
                    self.save()
                    saved = time.monotonic()
                if stopping:
                    return self.summary("interrupted")
        return self.summary("finished")

    def step(self, step: int) -> tuple[Tensor, Tensor]:
        """One training step: its loss and how many were right, still on the device."""
        epoch = step // self.batches.steps_per_epoch
        if step == self.recipe.early_epochs * self.batches.steps_per_epoch > 0:
            hand_over(self.net, self.recipe.early_steps)
            self.progress.best = -1.0
        images, labels = self.batches.batch(step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.recipe, step, self.batches.steps_per_epoch)
        where = (step, self.accelerator.process_index)
        coding = generator(self.recipe.seed, "coding", *where, device=images.device)
        settings = {"num_steps": self.num_steps(epoch), "generator": coding}
        means = self.model(self.net.normalize(images), per_step=True, **settings)
        value = loss(means, labels, self.recipe)
        self.optimizer.zero_grad()
        self.accelerator.backward(value)
        self.optimizer.step()
        return value.detach(), (means[-1].argmax(-1) == labels).sum()

    def num_steps(self, epoch: int) -> int | None:
        """How many time-steps epoch ``epoch``, from 0, trains on; None for all of them."""
        return self.recipe.early_steps if epoch < self.recipe.early_epochs else None

    def log(self, step: int) -> None:
        """Read what the device gathered since the last entry, and tell of it.

        Of a batch shared among processes, each counts its own share.
        """
        if not self.pending:
            return
        losses, right = (torch.stack(part) for part in zip(*self.pending, strict=True))
        seen = len(losses) * self.recipe.batch_size // self.accelerator.num_processes
        self.progress.count(losses.tolist(), int(right.sum()), seen)
        self.progress.step = step + 1
        self.journal.steps(step, losses.tolist(), self.progress)
        self.pending.clear()

    def finish_epoch(self, step: int) -> None:
        """Validate, keep the best weights, tell of the epoch."""
        epoch = (step + 1) // self.batches.steps_per_epoch
        if self.main:
            validation = self.validate(epoch - 1)
            self.progress.seconds += self.journal.lap()
            # without images held out, the last epoch counts
            score = validation[-1] if validation else float(epoch)
            if score >= self.progress.best:  # of equals, the one trained longest
                self.progress.best = score
                checkpoint.save(self.folder.best, self.net, info={"epoch": epoch})
            self.journal.epoch(step, validation, self.progress)
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
            num_steps=self.num_steps(epoch),
            precision=self.recipe.precision,
        )
        return (correct.double() / len(images)).tolist()

    def save(self) -> None:
        """Write everything that resuming needs, in one file."""
        if self.main:
            tensors = dict(optimizer_tensors(self.optimizer))
            checkpoint.save(self.folder.last, self.net, tensors, asdict(self.progress))
            seconds = round(self.progress.seconds, 1)
            self.folder.update(step=self.progress.step, seconds=seconds)

    def stopping(self, asked: list[int]) -> bool:
        """Whether any process was asked to stop."""
        if self.accelerator.num_processes == 1:
            return bool(asked)
        if asked:
            self.accelerator.set_trigger()
        return self.accelerator.check_trigger()

    def summary(self, status: str) -> dict[str, Any]:
        """What :func:`train` returns."""
        validated = len(self.batches.held_out) > 0 and self.progress.best >= 0
        values = {
            "status": status,
            "seconds": round(self.progress.seconds, 1),
            "validation_accuracy": self.progress.best if validated else None,
        }
        if self.main:
            self.folder.update(**values)
        # nobody leaves before everything is written
        self.accelerator.wait_for_everyone()
        place = {"out": str(self.folder.path), "epochs": self.recipe.epochs}
        return {**values, **place, "step": self.progress.step}


def _images(batches: Batches, dataset: Dataset) -> dict[str, Any]:
    """What the run folder says of the images."""
    counts = {
        "train": len(batches.index),
        "validation": len(batches.held_out),
        "test": len(dataset.test_images),
    }
    note = {"note": dataset.note} if dataset.note else {}
    return {"images": counts, "source": dataset.source, **note}


def _accelerator(precision: str, where: torch.device) -> Accelerator:
    # Accelerate keeps a process's first precision for good, but a second run may differ
    AcceleratorState._reset_state()
    # every process computes the same statistics, so there is nothing to broadcast
    ddp = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(
        mixed_precision="bf16" if precision == "bfloat16" else "no",
        cpu=where.type == "cpu",
        kwargs_handlers=[ddp],
    )
