"""The operators on a CPU: Numba kernels over fixed blocks of elements, one thread each.

A block is a range of the ``M`` elements that depends on the shape alone. Sums are taken
per block and merged in block order, so no result depends on the number of threads.
"""

import numpy as np
import torch
from torch import Tensor

from ..reference import accumulator
from ..surrogate import Surrogate
from . import kernels
from .threads import run_blocks

BLOCK = 16384
"""Numbers of one time-step in a block: enough to pay for a call, few enough that there are
blocks for all threads."""

RESETS = {"soft": kernels.SOFT, "hard": kernels.HARD, "none": kernels.NONE}


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """See :func:`bntt.ops.reference.moments`."""
    T, M, C = z.shape
    rows, blocks = _rows(C), _blocks(M, C)
    wide = accumulator(z.dtype)
    means, squares = (z.new_empty((blocks, T, C), dtype=wide) for _ in range(2))
    run_blocks(
        kernels.block_moments, blocks, _flat(z), C, rows, _array(means), _array(squares)
    )
    mean, var = (z.new_empty((T, C), dtype=wide) for _ in range(2))
    finite = kernels.merge_moments(
        _array(means), _array(squares), M, rows, _array(mean), _array(var)
    )
    if not finite:  # past the range of their type, sums have lost what they held
        kernels.moments_past_overflow(_flat(z), _array(mean), _array(var))
    return mean, var


def affine_lif_forward(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    *,
    leak: float,
    v_threshold: float,
    reset: str,
    detach_reset: bool,
    surrogate: Surrogate,
    keep_state: bool = True,
    count_spikes: bool = False,
) -> tuple[Tensor, ...]:
    """See :func:`bntt.ops.reference.affine_lif_forward`."""
    T, M, C = z.shape
    spikes = torch.empty_like(z)
    v_last = a.new_empty((M, C) if keep_state else (0, C))
    counts: list[np.ndarray] = []

    def fire(first: int, last: int, *arrays: object) -> None:
        # whole numbers add up to the same in any order, so each range has a sum of its own
        own = np.zeros((T if count_spikes else 0, C), np.int64)
        kernels.forward(first, last, *arrays, own)  # pyright: ignore[reportCallIssue]
        counts.append(own)

    run_blocks(
        fire,
        _blocks(M, C),
        *(_flat(z), _array(a), _array(b), _line(v0, a)),
        *(_rows(C), _scalars(a, leak, v_threshold), RESETS[reset]),
        *(_flat(spikes), _line(v_last, a)),
    )
    if not count_spikes:
        return spikes, v_last
    return spikes, v_last, torch.from_numpy(np.sum(counts, 0))


def affine_lif_backward(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    ds: Tensor | None,
    dv_last: Tensor | None,
    *,
    leak: float,
    v_threshold: float,
    reset: str,
    detach_reset: bool,
    surrogate: Surrogate,
    learns: bool = False,
) -> tuple[Tensor, ...]:
    """See :func:`bntt.ops.reference.affine_lif_backward`."""
    T, M, C = z.shape
    blocks = _blocks(M, C)
    ag = torch.empty_like(z)
    dv0 = a.new_empty((0, C)) if v0 is None else torch.empty_like(v0)
    sums_gz, sums_g = (a.new_empty((blocks, T, C)) for _ in range(2))
    sums_own = a.new_empty((blocks if learns else 0, 2, C))
    unheard = ds is None and (detach_reset or reset == "none")
    run_blocks(
        kernels.backward,
        blocks,
        *(_flat(z), _array(a), _array(b), _line(v0, a)),
        *(_flat(torch.zeros_like(z) if ds is None else ds), _line(dv_last, a)),
        *(_rows(C), _scalars(a, leak, v_threshold), RESETS[reset], detach_reset),
        *(kernels.FLAT if unheard else surrogate.kind, _scalars(a, *surrogate.constants)),
        *(_flat(ag), _line(dv0, a), *map(_array, (sums_gz, sums_g, sums_own))),
    )
    results = ag, _merged(sums_gz), _merged(sums_g), dv0
    return (*results, _merged(sums_own)) if learns else results


def moments_backward(
    z: Tensor, dz: Tensor, mean: Tensor, dmean: Tensor, dvar: Tensor
) -> Tensor:
    """See :func:`bntt.ops.reference.moments_backward`."""
    _, M, C = z.shape
    out = torch.empty_like(z)
    slope, shift = 2 / M * dvar, dmean / M
    run_blocks(
        kernels.centre_and_add,
        _blocks(M, C),
        *(_flat(z), _flat(dz), _array(mean), _array(slope), _array(shift)),
        *(_rows(C), _flat(out)),
    )
    return out


def _merged(sums: Tensor) -> Tensor:
    """The blocks' sums, ``[B, R, C]``, added up in the order of the blocks."""
    out = sums.new_empty(sums.shape[1:])
    kernels.merge_sums(_array(sums), _array(out))
    return out


def _rows(C: int) -> int:
    """Elements in a block."""
    return max(1, BLOCK // max(1, C))


def _blocks(M: int, C: int) -> int:
    """Blocks that ``M`` elements make; the last one may be smaller."""
    return -(-M // _rows(C))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy()


def _flat(tensor: Tensor) -> np.ndarray:
    """``[T, M, C]`` as ``[T, M·C]``, bfloat16 as its bits."""
    tensor = tensor.detach().flatten(1)
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _line(tensor: Tensor | None, like: Tensor) -> np.ndarray:
    """``[M, C]`` as ``[M·C]``; an empty array if there is no tensor."""
    return _array(like.new_empty(0) if tensor is None else tensor.flatten())


def _scalars(like: Tensor, *values: float) -> np.ndarray:
    """The numbers in the type of ``like``: a float64 would widen a float32 kernel."""
    return _array(like.new_tensor(values))
