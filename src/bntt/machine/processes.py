"""Batch statistics across processes: one collective in each direction per layer (M12)."""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def merge_moments(
    mean: Tensor, var: Tensor, count: int, group: Any = None
) -> tuple[Tensor, Tensor, int]:
    """The moments of a group's elements together, and how many there are.

    Without ``torch.distributed``, and outside the group, the result is this process's own
    moments. A process without elements must call too, or the others would wait for it; it
    gives a count of 0, and its moments are not read.

    Args:
        mean: This process's mean per time-step and channel, ``[T, C]``.
        var: Its biased variance, same shape.
        count: Elements that each of them was taken over.
        group: A ``torch.distributed`` group; all processes if omitted.

    Returns:
        ``(mean, var, count)`` of the elements of all processes together (M12).

    Raises:
        TypeError: If ``group`` is no group.
    """
    if merging(group) == 1:
        return mean, var, count
    mean, var, total, *_ = _Merge.apply(mean, var, count, group)  # pyright: ignore
    return mean, var, int(total)


def merging(group: Any = None) -> int:
    """How many processes merge their moments, of the group or of all; 1 if there is one.

    Raises:
        TypeError: If ``group`` is no group.
    """
    if not dist.is_available() or group == dist.GroupMember.NON_GROUP_MEMBER:
        return 1
    if group is not None and not isinstance(group, dist.ProcessGroup):
        raise TypeError(
            f"`process_group` must be a group of torch.distributed, as new_group makes "
            f"them, or None for all processes, got {group!r}."
        )
    return max(1, dist.get_world_size(group)) if dist.is_initialized() else 1


def refuse_half_a_launch() -> None:
    """Refuse an environment that holds only some of the variables of a launcher.

    Raises:
        ValueError: If a variable that says how many there are is no number, or they could
            not find each other.
    """
    for name in ("LOCAL_RANK", "WORLD_SIZE"):
        value = os.environ.get(name, "0")
        if not value.removeprefix("-").isdecimal():
            raise ValueError(
                f"The environment variable {name} must be a whole number, as torchrun sets "
                f"it, got {value!r}. Unset it to train in one process."
            )
    rank = os.environ.get("LOCAL_RANK", "-1")
    met = "MASTER_ADDR" in os.environ or (dist.is_available() and dist.is_initialized())
    if int(rank) >= 0 and not met:
        raise ValueError(
            f"LOCAL_RANK={rank} is in the environment, as torchrun sets "
            f"it, but MASTER_ADDR is not, so that processes cannot find each other. Start "
            f"them with torchrun, or unset LOCAL_RANK to train in one process."
        )


@contextmanager
def without_advice() -> Iterator[None]:
    """Silence two warnings of DistributedDataParallel that a user can do nothing about.

    One is about the name of its switch for buffers, which changes with torch's version; the
    other about gradients in the memory order of a convolution, whose copy costs little.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        yield


def shut_down_processes() -> None:
    """End the group of processes, if there is one; a program calls this as its last act.

    The threads of Gloo outlive the group: they free the tensors of the last collective, for
    which they need Python's lock. A thread that asks for the lock of an interpreter that is
    ending aborts the process, so a short pause lets them finish before.
    """
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
        time.sleep(0.2)


class _Merge(torch.autograd.Function):
    """``mean, var -> merged mean, merged var``, and the values that backward needs."""

    @staticmethod
    def forward(mean, var, count, group):
        # float64, because float32 counts to 16.8 million only
        mine = torch.stack([torch.full_like(mean, count), mean, var]).double()
        every = [torch.empty_like(mine) for _ in range(dist.get_world_size(group))]
        dist.all_gather(every, mine, group=group)
        counts, means, variances = torch.stack(every, 1)
        shares = counts / counts.sum(0)
        merged_mean = (shares * means).sum(0)
        merged_var = (shares * (variances + (means - merged_mean).square())).sum(0)
        share, offset = shares[dist.get_rank(group)], mean - merged_mean
        total = int(counts.sum(0).flatten()[0])
        return (
            *(merged_mean.to(mean.dtype), merged_var.to(var.dtype), total),
            *(share.to(mean.dtype), offset.to(mean.dtype)),
        )

    @staticmethod
    def setup_context(ctx, inputs, output):
        *_, ctx.group = inputs
        *_, share, offset = output
        ctx.mark_non_differentiable(share, offset)
        ctx.save_for_backward(share, offset)

    @staticmethod
    def backward(ctx, dmean, dvar, *_):
        share, offset = ctx.saved_tensors
        together = torch.stack([dmean, dvar])
        dist.all_reduce(together, group=ctx.group)
        dmean, dvar = together
        return share * (dmean + 2 * offset * dvar), share * dvar, None, None
