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
from .rules import check_threshold, score

BATCH = 256


@dataclass(frozen=True)
class Answers:
    """The last read-outs of images that were shown one after the other, and their steps."""

    logits: Float[Tensor, "N K"]
    steps: Int64[Tensor, " N"]
    """Time-steps that each image ran."""
    seconds: float
    """Wall time of the network, encoder included."""


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
    with evaluating(net), _precise(net, precision):
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
    check_threshold(rule, threshold)
    most = num_steps or net.num_steps
    parts = []
    started = time.perf_counter()
    with evaluating(net), _precise(net, precision):
        for x, generator in _batches(net, images, batch_size, seed, num_steps):
            parts.append(_one_batch(net, x, generator, rule, threshold, most))
            advance(len(parts[-1][1]))
    logits, steps = (torch.cat(column) for column in zip(*parts, strict=True))
    return Answers(logits, steps, time.perf_counter() - started)


def _one_batch(
    net: Network,
    x: Tensor,
    generator: torch.Generator,
    rule: str,
    threshold: float,
    most: int,
) -> tuple[Tensor, Tensor]:
    """Answers and time-steps of one batch, in its order."""
    sequence = x.ndim == 5
    size = x.shape[1] if sequence else len(x)
    run = stream(net) if sequence else stream(net, x, num_steps=most, generator=generator)
    here = torch.arange(size)
    logits, steps = torch.empty(size, net.num_classes), torch.full((size,), most)
    said = torch.empty(0, size, net.num_classes)
    for t in range(most):
        now = run.step(x[t, here.to(x.device)]) if sequence else run.step()
        refuse_nonfinite(now)
        said = torch.cat([said, now.float().cpu()[None]])
        logits[here] = said[-1]
        sure = score(rule).of(said)[-1] >= threshold
        steps[here[sure]] = t + 1
        if sure.all() or t + 1 == most:
            break
        if sure.any():
            run.keep(~sure)
            here, said = here[~sure], said[:, ~sure]
    return logits, steps


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


def _precise(net: Network, precision: str) -> torch.autocast:
    return torch.autocast(
        net.mean.device.type, torch.bfloat16, enabled=precision == "bfloat16"
    )
