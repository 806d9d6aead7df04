"""Accuracy after every time-step, on every image."""

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from . import checkpoint, hardware
from .batches import dataset_of
from .data import Images
from .display import Display
from .files import replacing
from .network import Network
from .provenance import circumstances
from .run_folder import RunFolder

IMAGE_STEPS = 1024
"""Images times time-steps in a batch, unless told: a few hundred megabytes."""


@dataclass(frozen=True)
class Evaluation:
    """How often a network is right after each time-step."""

    dataset: str
    images: int
    """How many images were classified: all there are."""
    seeds: tuple[int, ...]
    """Of the encoder; one evaluation each."""
    accuracy: tuple[tuple[float, ...], ...]
    """Share of the images that are right, in [0, 1], per seed and time-step."""
    batch_size: int
    precision: str

    @property
    def mean(self) -> list[float]:
        """Over the seeds, per time-step."""
        return [statistics.fmean(step) for step in zip(*self.accuracy, strict=True)]

    @property
    def spread(self) -> list[float]:
        """Sample standard deviation over the seeds, per time-step; 0 for one seed."""
        if len(self.seeds) < 2:
            return [0.0] * len(self.accuracy[0])
        return [statistics.stdev(step) for step in zip(*self.accuracy, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {**asdict(self), "mean": self.mean, "spread": self.spread}


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
    """How many images are right after each time-step.

    Args:
        net: Put into evaluation mode here, and back.
        images: All of them are used.
        labels: Their classes.
        seed: Of the encoder's random numbers.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        batch_size: Images at a time. Poisson coding draws batch by batch, so its noise
            depends on it.
        precision: ``"float32"`` or ``"bfloat16"``.
        advance: Called with the number of images just done.

    Raises:
        ValueError: If there is no image, or more time-steps are asked for than trained.
    """
    if len(images) == 0:
        raise ValueError("There is no image to classify.")
    net.check_steps(num_steps)
    steps = num_steps or net.num_steps
    size = batch_size or max(1, IMAGE_STEPS // steps)
    device = net.mean.device
    generator = torch.Generator(device=device).manual_seed(seed)
    was_training, _ = net.training, net.eval()
    correct = torch.zeros(steps, dtype=torch.int64)
    for first in range(0, len(images), size):
        x = net.normalize(images[first : first + size].to(device))
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            logits = net(x, per_step=True, num_steps=steps, generator=generator)
        right = logits.argmax(-1).cpu() == labels[first : first + size].cpu()
        correct += right.sum(1)
        advance(len(right[0]))
    net.train(was_training)
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
        dataset: A name to remember.
        seeds: Of the encoder: 0, 1 and 2 for Poisson coding if omitted, else one.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        batch_size: Images at a time.
        precision: ``"float32"`` or ``"bfloat16"``.
        quiet: Whether to show no progress.

    Raises:
        ValueError: As :func:`count_correct`.
    """
    if seeds is None:
        seeds = (0, 1, 2) if net.encoder_name == "poisson" else (0,)
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
            rows.append(tuple((correct.double() / len(images)).tolist()))
    return Evaluation(dataset, len(images), tuple(seeds), tuple(rows), size, precision)


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

    Args:
        run: The run folder.
        data: Where the image set lies, as for training.
        seeds: Of the encoder, as :func:`evaluate`.
        num_steps: Stop after so many time-steps.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        batch_size: Images at a time.
        quiet: Whether to show no progress.

    Raises:
        FileNotFoundError: If the folder, its checkpoint or the data are missing.
        ValueError: If a file is not what it should be, or more time-steps are asked for
            than trained.
    """
    folder = RunFolder(run)
    recipe = folder.recipe()
    net = checkpoint.load(folder.best)
    net.check_steps(num_steps)
    where = hardware.device(device)
    dataset = dataset_of(recipe, data, quiet=quiet)
    precision, _ = hardware.precision("auto", where)
    result = evaluate(
        net.to(where),
        dataset.test_images,
        dataset.test_labels,
        dataset=dataset.name,
        seeds=seeds,
        num_steps=num_steps,
        batch_size=batch_size,
        precision=precision,
        quiet=quiet,
    )
    record = {**result.to_dict(), "device": str(where), **circumstances()}
    with replacing(folder.path / "evaluation.json") as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n")
    return result
