"""Accuracy after every time-step, on every image."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from ..data import Images
from ..machine.progress import Display
from ..networks.modes import evaluating
from ..networks.network import Network
from ..runs.folder import RunFolder
from ..runs.opened import open_run
from ..runs.provenance import circumstances
from .answers import refuse_nonfinite
from .evaluation import Evaluation
from .keeping import keep

__all__ = ["Evaluation", "count_correct", "evaluate", "evaluate_run"]

IMAGE_STEPS = 1024
"""Images times time-steps in a batch, unless told: a few hundred megabytes."""


@torch.inference_mode()
def count_correct(
    net: Network,
    images: Images,
    labels: Int64[Tensor, " N"],
    *,
    seed: int = 0,
    num_steps: int | None = None,
    batch_size: int | None = None,
    precision: str = "float32",
    advance: Callable[[int], None] = lambda images: None,
) -> Int64[Tensor, " T"]:
    """How many images are classified correctly after each time-step.

    Args:
        net: The network. It is evaluated in evaluation mode and left in its own.
        images: All of them are used.
        labels: Their classes.
        seed: Seed of the encoder's random numbers.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        batch_size: Images at a time. Poisson coding draws batch by batch, so its noise
            depends on it.
        precision: ``"float32"`` or ``"bfloat16"``.
        advance: Called with the number of images of every batch that is done.

    Returns:
        The number of correct answers after each of the ``T`` time-steps.

    Raises:
        ValueError: If there is no image, or more time-steps are asked for than trained.
        FloatingPointError: If the network answers with NaN or infinity.
    """
    if len(images) == 0:
        raise ValueError("There is no image to classify.")
    net.check_steps(num_steps)
    steps = num_steps or net.num_steps
    size = batch_size or max(1, IMAGE_STEPS // steps)
    device = net.mean.device
    generator = torch.Generator(device=device).manual_seed(seed)
    correct = torch.zeros(steps, dtype=torch.int64)
    half = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with evaluating(net), half:
        for first in range(0, len(images), size):
            x = net.normalize(images[first : first + size].to(device))
            logits = net(x, per_step=True, num_steps=steps, generator=generator)
            refuse_nonfinite(logits)
            answers = logits.argmax(-1).cpu() == labels[first : first + size].cpu()
            correct += answers.sum(1)
            advance(len(x))
    return correct


def evaluate(
    net: Network,
    images: Images,
    labels: Int64[Tensor, " N"],
    *,
    dataset: str = "",
    seeds: tuple[int, ...] | None = None,
    num_steps: int | None = None,
    batch_size: int | None = None,
    precision: str = "float32",
    quiet: bool = True,
) -> Evaluation:
    """Classify every image after every time-step, once per encoder seed.

    Args:
        net: The network.
        images: All of them are used.
        labels: Their classes.
        dataset: The name of the set, for the result.
        seeds: Seeds of the encoder. If omitted 0, 1 and 2 for Poisson coding, else 0.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        batch_size: Images at a time.
        precision: ``"float32"`` or ``"bfloat16"``.
        quiet: Whether to show no progress.

    Raises:
        ValueError: As :func:`count_correct`, or if there is no seed.
        FloatingPointError: As :func:`count_correct`.
    """
    if seeds is None:
        seeds = (0, 1, 2) if net.encoder_name == "poisson" else (0,)
    if not seeds:
        raise ValueError("`seeds` must hold at least one seed, got none.")
    net.check_steps(num_steps)
    steps = num_steps or net.num_steps
    size = batch_size or max(1, IMAGE_STEPS // steps)
    settings = {"num_steps": steps, "batch_size": size, "precision": precision}
    rows = []
    with Display("images", len(seeds) * len(images), quiet=quiet) as display:
        for seed in seeds:
            advance = lambda done: display.advance(steps=done)  # noqa: E731
            correct = count_correct(
                net, images, labels, seed=seed, advance=advance, **settings
            )
            rows.append(tuple(right / len(images) for right in correct.tolist()))
    return Evaluation(
        dataset=dataset,
        images=len(images),
        seeds=tuple(seeds),
        accuracy=tuple(rows),
        batch_size=size,
        precision=precision,
        device=str(net.mean.device),
    )


def evaluate_run(
    run: str | Path,
    *,
    data: str | Path | None = None,
    seeds: tuple[int, ...] | None = None,
    num_steps: int | None = None,
    device: str = "auto",
    batch_size: int | None = None,
    quiet: bool = False,
) -> Evaluation:
    """Evaluate a run's best checkpoint on the whole test set; writes ``evaluation.json``.

    The precision is the run's. An earlier evaluation is replaced only if it answers the
    same question on the same data; otherwise it is kept, and the new one is written to
    ``evaluation-2.json`` and so on. If it cannot be written, the result carries a warning
    that says so.

    Args:
        run: The run folder.
        data: Where the image set lies, as for training.
        seeds: Seeds of the encoder, as for :func:`evaluate`.
        num_steps: Stop after so many time-steps.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        batch_size: Images at a time.
        quiet: Whether to show no progress.

    Raises:
        FileNotFoundError: If the folder, its checkpoint or the data are missing.
        ValueError: If a file is not what it should be, the data have other classes than
            the run's or another division into training and test samples, or more
            time-steps are asked for than trained.
        FloatingPointError: If the network answers with NaN or infinity.
    """
    opened = open_run(run, device=device)
    dataset, warnings = opened.load_tested(data, num_steps=num_steps, quiet=quiet)
    result = evaluate(
        opened.net,
        dataset.test_images,
        dataset.test_labels,
        dataset=dataset.name,
        seeds=seeds,
        num_steps=num_steps,
        batch_size=batch_size,
        precision=opened.precision,
        quiet=quiet,
    )
    about = circumstances()
    result = replace(
        result,
        trained_steps=opened.trained_steps,
        note=dataset.note,
        source=dict(dataset.source),
        split_sha256=dataset.split_sha256,
        commit=about["commit"],
        warnings=tuple(warnings),
    )
    return _kept(result, opened.folder, about)


def _kept(result: Evaluation, folder: RunFolder, about: dict[str, Any]) -> Evaluation:
    """Write the evaluation into the run folder; return it with the file that it is in.

    If it cannot be written it is returned all the same, with a warning.
    """
    answer = {**about, **result.to_dict()}
    file, said = keep(folder, "evaluation", answer, result.question())
    return replace(result, file=file, warnings=(*result.warnings, *said))
