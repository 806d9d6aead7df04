"""One recipe to one run folder."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor

from . import checkpoint, hardware
from .batches import Batches, generator
from .board import Board
from .config import Recipe
from .data import load
from .display import Display
from .evaluate import count_correct
from .interrupt import stoppable
from .objective import (
    learning_rate,
    loss,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
)
from .run_folder import RunFolder
from .vgg import VGG
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
    dataset = load(recipe.dataset, data, fold=recipe.fold)
    batches = Batches(recipe, dataset, accelerator.device, process, processes)
    folder = RunFolder(out)
    if resume:
        folder.resume(recipe)
    elif accelerator.is_main_process:
        split = {"train": len(batches.index), "validation": len(batches.held_out)}
        folder.start(
            recipe,
            {
                "command": command,
                "device": str(accelerator.device),
                "processes": processes,
                "seed": recipe.seed,
                "precision": precision,
                "precision_because": why,
                "images": {**split, "test": len(dataset.test_images)},
                "source": dataset.source,
            },
        )
    accelerator.wait_for_everyone()
    net, tensors, progress = begin(recipe, dataset, folder, resume)
    optimizer = make_optimizer(recipe, net.to(accelerator.device))
    if tensors:
        restore_optimizer(optimizer, tensors)
        folder.rewind_log(progress.step)
    model, optimizer = accelerator.prepare(net, optimizer)
    run = _Run(recipe, folder, accelerator, net, model, optimizer, batches, progress)
    return run.loop(log_every or (1 if where.type == "cpu" else 20), quiet)


@dataclass
class _Run:
    recipe: Recipe
    folder: RunFolder
    accelerator: Accelerator
    net: VGG
    model: torch.nn.Module
    optimizer: Any
    batches: Batches
    progress: Progress

    def loop(self, log_every: int, quiet: bool) -> dict[str, Any]:
        """Train from where the run is to where it ends, or to an interrupt."""
        per_epoch, progress = self.batches.steps_per_epoch, self.progress
        total = self.recipe.epochs * per_epoch
        self.main = self.accelerator.is_main_process
        self.display = Display(
            self.recipe.dataset, total, progress.step, quiet=quiet or not self.main
        )
        self.board = Board(self.folder.path, self.main)
        self.saved = self.clock = time.monotonic()
        pending: list[tuple[Tensor, Tensor]] = []
        with stoppable() as stop, self.display:
            for step in range(progress.step, total):
                pending.append(self.step(step))
                self.display.advance()
                epoch_ends = (step + 1) % per_epoch == 0
                if epoch_ends or (step + 1) % log_every == 0:
                    self.log(step, pending)
                if epoch_ends:
                    self.finish_epoch(step)
                if self.stopped(stop):
                    self.log(step, pending)
                    self.save(step)
                    return self.summary("interrupted")
                if self.main and time.monotonic() - self.saved > SAVE_EVERY:
                    self.log(step, pending)
                    self.save(step)
            return self.summary("finished")

    def step(self, step: int) -> tuple[Tensor, Tensor]:
        """One training step: its loss and how many images were right, still on the device."""
        epoch = step // self.batches.steps_per_epoch
        if step == self.recipe.early_epochs * self.batches.steps_per_epoch > 0:
            hand_over(self.net, self.recipe.early_steps)
            self.progress.best = -1.0
        images, labels = self.batches.batch(step)
        rate = learning_rate(self.recipe, step, self.batches.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
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

    def log(self, step: int, pending: list[tuple[Tensor, Tensor]]) -> None:
        """Read what the device gathered since the last entry, and write it down."""
        if not pending:
            return
        losses, right = (torch.stack(part).tolist() for part in zip(*pending, strict=True))
        first = step + 1 - len(losses)
        pending.clear()
        self.refuse_nan(first, losses)
        now = time.monotonic()
        seconds, self.clock = now - self.clock, now
        self.progress.seconds += seconds
        seen = len(losses) * self.recipe.batch_size // self.accelerator.num_processes
        self.progress.count(losses, int(sum(right)), seen)
        self.progress.step = step + 1
        speed = len(losses) * self.recipe.batch_size / seconds
        mean, accuracy = sum(losses) / len(losses), self.progress.right / self.progress.seen
        self.display.advance(
            f"loss {mean:.3f}  acc {accuracy:.1%}  {speed:.0f} images/s", 0
        )
        rate = learning_rate(self.recipe, step, self.batches.steps_per_epoch)
        values = {"loss": mean, "lr": rate, "images_per_s": round(speed, 1)}
        self.write(step, **values)

    def finish_epoch(self, step: int) -> None:
        """Validate, keep the best weights, log the epoch."""
        done, progress = step + 1, self.progress
        epoch = done // self.batches.steps_per_epoch
        values = {
            "train_loss": progress.loss_sum / self.batches.steps_per_epoch,
            "train_accuracy": progress.right / progress.seen,
            "seconds": round(progress.seconds, 1),
        }
        if self.main:
            validation = self.validate(epoch - 1)
            # without images held out, the last epoch counts
            score = validation[-1] if validation else float(epoch)
            if score > progress.best:
                progress.best = score
                checkpoint.save(self.folder.best, self.net, info={"epoch": epoch})
            self.write(step, **values, validation_accuracy=validation)
            self.say_epoch(epoch, values, validation)
        progress.loss_sum, progress.right, progress.seen = 0.0, 0, 0
        self.clock = time.monotonic()
        if self.main:
            self.save(step)
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
        self.progress.seconds += time.monotonic() - self.clock
        return (correct.double() / len(images)).tolist()

    def save(self, step: int) -> None:
        """Write everything that resuming needs, in one file."""
        if self.main:
            tensors = dict(optimizer_tensors(self.optimizer))
            checkpoint.save(self.folder.last, self.net, tensors, asdict(self.progress))
            self.folder.update(step=step + 1, seconds=round(self.progress.seconds, 1))
            self.saved = time.monotonic()

    def stopped(self, stop: list[int]) -> bool:
        """Whether any process was asked to stop."""
        if self.accelerator.num_processes == 1:
            return bool(stop)
        if stop:
            self.accelerator.set_trigger()
        return self.accelerator.check_trigger()

    def refuse_nan(self, first: int, losses: list[float]) -> None:
        """Stop at the first loss that is not finite, before anything of it is saved."""
        for step, value in enumerate(losses, first):
            if not abs(value) < float("inf"):
                rate = learning_rate(self.recipe, step, self.batches.steps_per_epoch)
                self.folder.update(status="failed")
                raise FloatingPointError(
                    f"The loss became {value} at step {step} (epoch "
                    f"{step // self.batches.steps_per_epoch}), where the learning rate was "
                    f"{rate:.3g}: most likely it is too high. Start again with a lower one, "
                    f"such as --set lr={self.recipe.lr / 3:.2g}, or with "
                    f"--set precision=float32."
                )

    def write(self, step: int, **values: Any) -> None:
        """One entry of the log."""
        if self.main:
            epoch = step // self.batches.steps_per_epoch
            self.folder.log(step=step + 1, epoch=epoch, **values)
            self.board.write(step + 1, values)

    def say_epoch(
        self, epoch: int, values: dict[str, Any], validation: list[float]
    ) -> None:
        """One line for the reader."""
        held_out = (
            f"  validation {validation[-1]:.2%} (after step 1: {validation[0]:.2%})"
            if validation
            else ""
        )
        self.display.say(
            f"epoch {epoch}/{self.recipe.epochs}  loss {values['train_loss']:.4f}  "
            f"accuracy {values['train_accuracy']:.2%}{held_out}  {values['seconds']:.0f} s"
        )

    def summary(self, status: str) -> dict[str, Any]:
        """What :func:`train` returns."""
        held_out = len(self.batches.held_out) > 0 and self.progress.best >= 0
        accuracy = self.progress.best if held_out else None
        values = {
            "status": status,
            "seconds": round(self.progress.seconds, 1),
            "validation_accuracy": accuracy,
        }
        if self.main:
            self.folder.update(**values)
        return {
            **values,
            "out": str(self.folder.path),
            "epochs": self.recipe.epochs,
            "step": self.progress.step,
        }


def _accelerator(precision: str, where: torch.device) -> Accelerator:
    # every process computes the same statistics, so there is nothing to broadcast
    ddp = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(
        mixed_precision="bf16" if precision == "bfloat16" else "no",
        cpu=where.type == "cpu",
        kwargs_handlers=[ddp],
    )
