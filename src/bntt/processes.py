"""Batch statistics across processes: one collective in each direction per layer (M12)."""

import time

import torch
import torch.distributed as dist
from torch import Tensor


def merge_moments(mean: Tensor, var: Tensor, count: int) -> tuple[Tensor, Tensor, int]:
    """The moments of all processes' elements together, and how many there are.

    Without ``torch.distributed`` they are this process's own.
    """
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return mean, var, count
    mean, var, total = _Merge.apply(mean, var, count)  # pyright: ignore
    return mean, var, int(total)


def leave() -> None:
    """Take leave of the other processes, where there are any; for programs, at their end.

    Gloo's threads, which outlive the group, clear away the tensors of the last collective
    and need Python's lock for it. One that asks for the lock of an interpreter that is
    ending aborts the process, so they get the time before.
    """
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
        time.sleep(0.2)


class _Merge(torch.autograd.Function):
    @staticmethod
    def forward(ctx, mean, var, count):
        mine = torch.stack([torch.full_like(mean, count), mean, var])
        every = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(every, mine)
        counts, means, variances = torch.stack(every, 1)
        share = counts / counts.sum(0)
        merged = (share * means).sum(0)
        ctx.share = share[dist.get_rank()]
        ctx.save_for_backward(mean - merged)
        spread = variances + (means - merged).square()
        return merged, (share * spread).sum(0), int(counts.sum(0).flatten()[0])

    @staticmethod
    def backward(ctx, dmean, dvar, _):
        (offset,) = ctx.saved_tensors
        together = torch.stack([dmean, dvar])
        dist.all_reduce(together)
        dmean, dvar = together
        return ctx.share * (dmean + 2 * offset * dvar), ctx.share * dvar, None
