"""A batch that runs step by step, and that samples leave when they are sure enough."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from ..networks.stream import Stream
from .answers import refuse_nonfinite


@runtime_checkable
class Leaving(Protocol):
    """What says when an image leaves: `bntt.analysis.early_exit.SampleExit` does."""

    def sure(self, logits: Float[Tensor, "T N K"]) -> Bool[Tensor, " N"]:
        """Which images leave, by the running means of their read-outs so far."""
        ...


@runtime_checkable
class Observer(Protocol):
    """Who is told what happens to a batch, such as a counter of operations."""

    def next_step(self, images: int) -> None:
        """A time-step begins, for so many images."""
        ...

    def keep(self, mask: Tensor) -> None:
        """Of the running images only these go on."""
        ...


def run_batch(
    run: Stream,
    size: int,
    num_steps: int,
    *,
    inputs: Float[Tensor, "T N *S"] | None = None,
    leave: Leaving | None = None,
    observer: Observer | None = None,
) -> tuple[Float[Tensor, "T N K"], Int64[Tensor, " N"]]:
    """Run a batch to its end, or until everyone has left.

    Args:
        run: A stream that has not begun.
        size: Images of the batch.
        num_steps: At most so many time-steps.
        inputs: What is fed, time first; left out where the stream codes its images.
        leave: When an image leaves; none does if omitted.
        observer: Told of every time-step and of who leaves.

    Returns:
        What each image says after every time-step, once it has left what it last said; and
        how many time-steps it ran.

    Raises:
        FloatingPointError: If the network answers with NaN or infinity.
    """
    here = torch.arange(size)
    said = torch.zeros(num_steps, size, run.net.num_classes)
    steps = torch.full((size,), num_steps)
    for t in range(num_steps):
        if observer is not None:
            observer.next_step(len(here))
        if inputs is None:
            now = run.step()
        else:
            now = run.step(inputs[t].index_select(0, here.to(inputs.device)))
        refuse_nonfinite(now)
        said[t:, here] = now.float().cpu()
        if leave is None or t + 1 == num_steps:
            continue
        sure = leave.sure(said[: t + 1, here])
        steps[here[sure]] = t + 1
        if sure.all():
            break
        if sure.any():
            here = here[~sure]
            run.keep(~sure)
            if observer is not None:
                observer.keep(~sure)
    return said, steps
