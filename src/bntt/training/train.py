"""One recipe to one run folder."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState

from ..config import Recipe
from ..data import Dataset
from ..machine import hardware
from ..machine.interrupt import unwinding
from ..machine.processes import refuse_half_a_launch, without_advice
from ..machine.terminal import note
from ..runs.folder import RunFolder
from ..runs.opened import dataset_of
from ..runs.origin import Origin
from .batches import Batches
from .loop import TrainingLoop
from .replay import refusal
from .start import Start, fresh, resumed


def train(
    recipe: Recipe,
    out: str | Path,
    *,
    data: str | Path | None = None,
    resume: bool = False,
    device: str = "auto",
    log_every: int | None = None,
    replay: bool = False,
    command: str = "",
    quiet: bool = False,
) -> dict[str, Any]:
    """Train a network by a recipe; everything about it goes into the folder ``out``.

    Args:
        recipe: What to train, and how.
        out: Run folder: new, or with ``resume`` that of an unfinished run.
        data: Where the data lie (see :func:`bntt.data.load`).
        resume: Continue from ``last.safetensors`` to the weights that an uninterrupted run
            ends with (bit for bit on a CPU).
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        log_every: Steps between log entries, each of which waits for the device: 1 on a
            CPU and 20 elsewhere if omitted.
        replay: Replay training steps as a CUDA graph (:mod:`bntt.training.replay`). Where
            that cannot be, they run one operation after the other, and a note says why.
        command: The command that was given, to be recorded in the run folder.
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
    recipe, because = _resolved(recipe, where, folder if resume else None)
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
        # before anything is written, since a network that does not fit leaves no folder
        if resume:
            start = resumed(recipe, dataset, accelerator.device, folder, total)
        else:
            start = fresh(recipe, dataset, accelerator.device)
        trains = start.progress.step < total
        with folder.telling() if main and trains else nullcontext():
            why = refusal(accelerator.device, accelerator.num_processes) if replay else None
            notes = [*filter(None, [dataset.note, why]), *start.warnings]
            if main and trains:
                sitting = _sitting(command, accelerator, recipe.precision, because, dataset)
                record = _record_again if resume else _record_start
                notes += record(folder, recipe, dataset, start, sitting)
            accelerator.wait_for_everyone()
            if main and not quiet:
                for sentence in notes:
                    note(f"Note: {sentence}")
            with without_advice():
                recorded = replay and why is None
                loop = TrainingLoop.of(
                    start, recipe, folder, accelerator, batches, quiet, recorded
                )
                return loop.run(log_every or (1 if where.type == "cpu" else 20))


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
    precision, because = hardware.precision(recipe.precision, where)
    return replace(recipe, precision=precision), because


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


def _sitting(
    command: str, accelerator: Accelerator, precision: str, because: str, dataset: Dataset
) -> dict[str, Any]:
    """What this sitting says of itself in ``run.json``."""
    return {
        "command": command,
        "device": _name(accelerator.device),
        "processes": accelerator.num_processes,
        "precision": precision,
        "precision_because": because,
        "source": dataset.source,
    }


def _name(device: torch.device) -> str:
    """A device as a reader of results knows it."""
    if device.type != "cuda":
        return str(device)
    return f"{device}: {torch.cuda.get_device_name(device)}"


def _record_start(
    folder: RunFolder,
    recipe: Recipe,
    dataset: Dataset,
    start: Start,
    sitting: dict[str, Any],
) -> list[str]:
    """Write down that a run begins; there is nothing to say of it."""
    about = {"seed": recipe.seed, **Origin.of(dataset, recipe).to_dict()}
    about |= {"note": dataset.note} if dataset.note else {}
    folder.start(recipe, {**sitting, **about})
    return []


def _record_again(
    folder: RunFolder,
    recipe: Recipe,
    dataset: Dataset,
    start: Start,
    sitting: dict[str, Any],
) -> list[str]:
    """Write down that a run goes on; what there is to say of that."""
    step = start.progress.step
    folder.clear_leftovers()
    dropped = folder.rewind_log(step)
    data = {"data": start.warnings} if start.warnings else {}
    changed = folder.sit_again(step, sitting | data)
    notes = []
    if dropped:
        notes.append(
            f"{folder.log_file} had {dropped} damaged line{'s' * (dropped > 1)}, which "
            f"{'are' if dropped > 1 else 'is'} left out. The weights are not concerned."
        )
    if changed:
        notes.append(
            f"Resuming at step {step}; since the last sitting changed: {changed}. The "
            f"weights may differ in their last digits from an uninterrupted run's."
        )
    return notes
