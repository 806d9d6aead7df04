"""One recipe to one run folder."""

import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor

from ..analysis.accuracy import count_correct
from ..config import Recipe
from ..machine import hardware
from ..machine.interrupt import stoppable, unwinding
from ..machine.processes import refuse_half_a_launch, without_advice
from ..machine.terminal import note
from ..networks import checkpoint
from ..networks.network import Network
from ..runs.folder import RunFolder
from ..runs.opened import dataset_of
from ..runs.origin import Origin, check_resume
from .batches import Batches, generator
from .log import Journal
from .losses import loss
from .optimizer import make_optimizer, optimizer_tensors, restore_optimizer
from .schedule import learning_rate
from .start import copy_to_later_steps, left_off, new_network, try_one
from .state import Progress

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
        ``seconds``, ``validation_accuracy`` (the best, None without a split) and ``main``:
        whether this process, of several that share a run, is the one that speaks.

    Raises:
        ValueError: If the recipe does not fit the data or the folder's, or a run that goes
            on met other classes, labels, or another division of its data.
        OSError: If the folder cannot be used, or another process trains in it.
        FloatingPointError: If the loss, a weight, a statistic or the optimiser's state is
            not finite; says at which step. What was saved before is whole.
    """
    where = hardware.device(device)
    folder = RunFolder(out)
    recipe, why = _resolved(recipe, where, folder if resume else None)
    accelerator = _accelerator(recipe.precision, where)
    main = accelerator.is_main_process
    with unwinding(), folder.held() if main else nullcontext():
        if resume:
            folder.resume(recipe)
        elif main:
            folder.refuse_another(recipe)
        dataset = dataset_of(recipe, data, quiet=quiet)
        shared = (accelerator.process_index, accelerator.num_processes)
        batches = Batches(recipe, dataset, accelerator.device, *shared)
        total = recipe.epochs * batches.steps_per_epoch
        origin = Origin.of(dataset, recipe)
        if resume:
            there = Origin.recorded(folder.info())
            other = check_resume(folder.path, there, origin, recipe)
            net, tensors, progress = left_off(recipe, dataset, folder, total)
        else:
            other = []
            net, tensors, progress = new_network(recipe, dataset), {}, Progress()
        # first of all, since a network that does not fit must leave no folder behind
        try_one(net.to(accelerator.device), dataset)
        optimizer = make_optimizer(recipe, net)
        if progress.step:
            restore_optimizer(optimizer, tensors, folder.last)
        sitting = {
            "command": command,
            "device": _name(accelerator.device),
            "processes": accelerator.num_processes,
            "precision": recipe.precision,
            "precision_because": why,
            "source": dataset.source,
        }
        said = [dataset.note] * bool(dataset.note) + other
        with folder.telling() if main and progress.step < total else nullcontext():
            if main and not resume:
                about = {"seed": recipe.seed, **origin.to_dict()}
                about |= {"note": dataset.note} if dataset.note else {}
                folder.start(recipe, {**sitting, **about})
            elif main and progress.step < total:
                said += _go_on(folder, progress.step, sitting, other)
            accelerator.wait_for_everyone()
            if main and not quiet:
                for sentence in said:
                    note(f"Note: {sentence}")
            with without_advice():
                model, optimizer = accelerator.prepare(net, optimizer)
                run = _Run(
                    recipe, folder, accelerator, net, model, optimizer, batches, progress
                )
                return run.loop(log_every or (1 if where.type == "cpu" else 20), quiet)


def _resolved(
    recipe: Recipe, where: torch.device, resumed: RunFolder | None
) -> tuple[Recipe, str]:
    """The recipe with its precision decided, and why so.

    A run that goes on keeps what was decided when it began: another machine's choice would
    lead to other weights.
    """
    if resumed is not None and recipe.precision == "auto" and resumed.info_file.exists():
        kept = resumed.recipe().precision
        return replace(recipe, precision=kept), "decided when the run began"
    precision, why = hardware.precision(recipe.precision, where)
    return replace(recipe, precision=precision), why


def _go_on(
    folder: RunFolder, step: int, sitting: dict[str, Any], other: list[str]
) -> list[str]:
    """Take a run up again, on data of which `other` is said; what else there is to say."""
    folder.clear_leftovers()
    dropped = folder.rewind_log(step)
    changed = folder.sit_again(step, sitting | ({"data": other} if other else {}))
    lines = []
    if dropped:
        lines.append(
            f"{folder.log_file} had {dropped} damaged line{'s' * (dropped > 1)}, which "
            f"{'are' if dropped > 1 else 'is'} left out. The weights are not concerned."
        )
    if changed:
        lines.append(
            f"Resuming at step {step}; since the last sitting changed: {changed}. The "
            f"weights may differ in their last digits from an uninterrupted run's."
        )
    return lines


def _name(device: torch.device) -> str:
    """A device as a reader of results knows it."""
    if device.type != "cuda":
        return str(device)
    return f"{device}: {torch.cuda.get_device_name(device)}"


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
        total = self.recipe.epochs * per_epoch
        if done == total:  # a finished run
            return self.summary("finished")
        self.journal = Journal(
            self.recipe, self.folder, per_epoch, done, main=self.main, quiet=quiet
        )
        saved = time.monotonic()
        with stoppable() as stop, self.journal:
            for step in range(done, total):
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
            copy_to_later_steps(self.net, self.recipe.early_steps)
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
        self.journal.refuse_nan(step + 1 - len(losses), losses.tolist())
        self.journal.refuse_nonfinite(step, self.net.state_dict())
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
                checkpoint.write(self.folder.best, self.net, info={"epoch": epoch})
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
            self.journal.refuse_nonfinite(self.progress.step - 1, tensors)
            checkpoint.write(self.folder.last, self.net, tensors, asdict(self.progress))
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
            self.folder.end(**values)
        # nobody leaves before everything is written
        self.accelerator.wait_for_everyone()
        place = {"out": str(self.folder.path), "epochs": self.recipe.epochs}
        return {**values, **place, "step": self.progress.step, "main": self.main}


def _accelerator(precision: str, where: torch.device) -> Accelerator:
    # Accelerate keeps a process's first precision for good, but a second run may differ
    AcceleratorState._reset_state()
    refuse_half_a_launch()
    # every process computes the same statistics, so there is nothing to broadcast
    ddp = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(
        mixed_precision="bf16" if precision == "bfloat16" else "no",
        cpu=where.type == "cpu",
        kwargs_handlers=[ddp],
    )
