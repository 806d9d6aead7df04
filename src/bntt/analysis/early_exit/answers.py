"""What a network says after every time-step, and what it says when samples may leave."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ...data.dataset import Images
from ...networks.modes import evaluating
from ...networks.network import Network
from ...networks.stream import stream
from ..answers import refuse_nonfinite
from ..leaving import run_batch
from .rules import SampleExit

BATCH = 256


@dataclass(frozen=True)
class Answers:
    """The last read-outs of images that were shown one after the other, and their steps."""

    logits: Float[Tensor, "N K"]
    steps: Int64[Tensor, " N"]
    """Time-steps that each image ran."""
    seconds: float
    """Wall time of the network, encoder included."""
    over_time: Float[Tensor, "T N K"]
    """After every time-step; of an image that has left, what it last said."""


@torch.inference_mode()
def answers_over_time(
    net: Network,
    images: Images,
    *,
    num_steps: int | None = None,
    seed: int = 0,
    batch_size: int = BATCH,
    precision: str = "float32",
    advance: Callable[[int], None] = lambda images: None,
) -> Float[Tensor, "T N K"]:
    """The running mean of the read-outs after every time-step, for every image.

    Args:
        net: Put into evaluation mode here, and back.
        images: Bytes, as a set has them.
        num_steps: Stop after so many time-steps; all that were trained if omitted.
        seed: Of the encoder's random numbers.
        batch_size: Images at a time.
        precision: ``"float32"`` or ``"bfloat16"``.
        advance: Called with the number of images just done.

    Raises:
        ValueError: If there is no image, or more time-steps are asked for than trained.
        FloatingPointError: If the network answers with NaN or infinity.
    """
    parts = []
    with evaluating(net), precise(net, precision):
        for x, generator in _batches(net, images, batch_size, seed, num_steps):
            logits = net(x, per_step=True, num_steps=num_steps, generator=generator)
            refuse_nonfinite(logits)
            parts.append(logits.cpu())
            advance(logits.shape[1])
    return torch.cat(parts, 1)


@torch.inference_mode()
def early_answers(
    net: Network,
    images: Images,
    rule: str,
    threshold: float,
    *,
    num_steps: int | None = None,
    seed: int = 0,
    batch_size: int = BATCH,
    precision: str = "float32",
    advance: Callable[[int], None] = lambda images: None,
) -> Answers:
    """Show images until each is sure enough; who is leaves its batch, and saves its steps.

    Args:
        net: Put into evaluation mode here, and back.
        images: Bytes, as a set has them.
        rule: A key of :data:`bntt.analysis.early_exit.rules.SCORES`.
        threshold: What its score must reach.
        num_steps: At most so many time-steps; all that were trained if omitted.
        seed: Of the encoder's random numbers, which are those of a run in which nobody
            leaves.
        batch_size: Images at a time.
        precision: ``"float32"`` or ``"bfloat16"``.
        advance: Called with the number of images just done.

    Raises:
        ValueError: As :func:`answers_over_time`, or if the rule or threshold is none.
        FloatingPointError: As :func:`answers_over_time`.
    """
    return answers_until(
        net,
        images,
        SampleExit(rule, threshold),
        num_steps=num_steps,
        seed=seed,
        batch_size=batch_size,
        precision=precision,
        advance=advance,
    )


@torch.inference_mode()
def answers_until(
    net: Network,
    images: Images,
    leave: SampleExit | None,
    *,
    num_steps: int | None = None,
    seed: int = 0,
    batch_size: int = BATCH,
    precision: str = "float32",
    advance: Callable[[int], None] = lambda images: None,
) -> Answers:
    """Show images step by step; who is sure enough leaves, or nobody does.

    The time of both can be compared, and the random numbers of their encoders are the same.

    Args:
        net: Put into evaluation mode here, and back.
        images: Bytes, as a set has them.
        leave: When an image leaves; None lets all of them stay to the end.
        num_steps: As :func:`early_answers`, and so are the others.
        seed: Of the encoder's random numbers.
        batch_size: Images at a time.
        precision: ``"float32"`` or ``"bfloat16"``.
        advance: Called with the number of images just done.

    Raises:
        ValueError: As :func:`answers_over_time`.
        FloatingPointError: As :func:`answers_over_time`.
    """
    most = num_steps or net.num_steps
    parts = []
    started = time.perf_counter()
    with evaluating(net), precise(net, precision):
        for x, generator in _batches(net, images, batch_size, seed, num_steps):
            sequence = x.ndim == 5
            size = x.shape[1] if sequence else len(x)
            coded = None if sequence else x
            run = stream(net, coded, num_steps=num_steps, generator=generator)
            inputs = x if sequence else None
            parts.append(run_batch(run, size, most, inputs=inputs, leave=leave))
            advance(size)
    seconds = time.perf_counter() - started
    said, steps = zip(*parts, strict=True)
    over_time = torch.cat(said, 1)
    return Answers(over_time[-1], torch.cat(steps), seconds, over_time)


def _batches(
    net: Network, images: Images, size: int, seed: int, num_steps: int | None
) -> Iterator[tuple[Tensor, torch.Generator]]:
    """Normalised images, batch by batch, each with random numbers of its own.

    A batch that is over early draws less, and must not shift what the next one draws.
    """
    if len(images) == 0:
        raise ValueError("There is no image to classify.")
    net.check_steps(num_steps)
    device = net.mean.device
    for number, first in enumerate(range(0, len(images), size)):
        (state,) = np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)
        generator = torch.Generator(device=device).manual_seed(int(state))
        yield net.normalize(images[first : first + size].to(device)), generator


def precise(net: Network, precision: str) -> torch.autocast:
    """The context in which a network answers in ``"float32"`` or ``"bfloat16"``."""
    return torch.autocast(
        net.mean.device.type, torch.bfloat16, enabled=precision == "bfloat16"
    )
