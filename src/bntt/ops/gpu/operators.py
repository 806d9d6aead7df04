"""The operators on a GPU: what the Triton kernels are launched with.

Sums are taken per tile and merged in the tiles' order, without atomic additions, so that
two runs on one device give the same bits.
"""

from typing import Any

import torch
from torch import Tensor

from ..surrogate import Surrogate
from . import moments_kernels, neuron_kernels, tiles

SCAN = 1024
"""Numbers in a tile that walks through time."""

STREAM = 2048
"""Numbers in a tile that is read and written once."""

STATISTICS = 8192
"""Numbers in a tile of which moments are taken: the more, the fewer there are to merge."""

SEGMENT = 8
"""Most time-steps whose membranes the backward scan holds in registers."""

FAN = 64
"""Blocks of which one launch makes one."""


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """See :func:`bntt.ops.reference.moments`."""
    T, M, C = z.shape
    rows, columns = tiles.shape(STATISTICS, C)
    means, shares = (_floats(z, tiles.blocks(M, rows), T, C) for _ in range(2))
    count = tiles.tiles(M, C, rows, columns)
    _launch(
        *(moments_kernels.block_moments, count * T),
        *(z, means, shares, T, M, C, M * C, count, 1 / M, rows, columns),
        warps=8,
    )
    while len(means) > 1:
        means, shares, rows = _merged_moments(means, shares, rows, M)
    return means[0], shares[0]


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
    rows, columns = tiles.shape(SCAN, C)
    spikes, v_last = torch.empty_like(z), _floats(z, M if keep_state else 0, C)
    counts = None
    if count_spikes:
        counts = z.new_empty((tiles.blocks(M, rows), T, C), dtype=torch.int32)
    _launch(
        *(neuron_kernels.forward, tiles.tiles(M, C, rows, columns)),
        *(z, a, b, v0, spikes, v_last if keep_state else None, counts),
        *(T, M, C, M * C, float(leak), float(v_threshold)),
        *(reset, rows, columns),
    )
    return (spikes, v_last) if counts is None else (spikes, v_last, counts.sum(0))


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
    rows, columns = tiles.shape(SCAN, C)
    blocks = tiles.blocks(M, rows)
    segment = min(SEGMENT, T)
    segments, lead = divmod(T, segment)
    heads = _floats(z, max(0, segments - 1), M, C)
    ag, dv0 = torch.empty_like(z), _floats(z, 0 if v0 is None else M, C)
    sums_gz, sums_g = (_floats(z, blocks, T, C) for _ in range(2))
    sums_own = _floats(z, blocks, 2, C) if learns else None
    unheard = ds is None and (detach_reset or reset == "none")
    _launch(
        *(neuron_kernels.backward, tiles.tiles(M, C, rows, columns)),
        *(z, a, b, v0, ds, dv_last, heads, ag, None if v0 is None else dv0),
        *(sums_gz, sums_g, sums_own, T, M, C, M * C, segments),
        *(float(leak), float(v_threshold), 1 / v_threshold, *surrogate.constants),
        *(reset, not detach_reset, "None" if unheard else type(surrogate).__name__),
        *(lead, segment, rows, columns),
        warps=8,
        **_registers(),
    )
    results = ag, _merged(sums_gz), _merged(sums_g), dv0
    return results if sums_own is None else (*results, _merged(sums_own))


def moments_backward(
    z: Tensor, dz: Tensor, mean: Tensor, dmean: Tensor, dvar: Tensor
) -> Tensor:
    """See :func:`bntt.ops.reference.moments_backward`."""
    T, M, C = z.shape
    rows, columns = tiles.shape(STREAM, C)
    out, count = torch.empty_like(z), tiles.tiles(M, C, rows, columns)
    slope, shift = 2 / M * dvar, dmean / M
    _launch(
        *(moments_kernels.centre_and_add, count * T),
        *(z, dz, mean, slope, shift, out, M, C, M * C, count, rows, columns),
        warps=8,
    )
    return out


def _merged_moments(
    means: Tensor, shares: Tensor, span: int, M: int
) -> tuple[Tensor, Tensor, int]:
    """The moments of blocks of ``FAN`` times the span, and that span."""
    merged_means, merged_shares = (_fewer(means) for _ in range(2))
    _launch(
        *(moments_kernels.merge_moments, _merging(means)),
        *(means, shares, merged_means, merged_shares),
        *(len(means), means[0].numel(), span, M, FAN, tiles.COLUMNS),
    )
    return merged_means, merged_shares, span * FAN


def _merged(sums: Tensor) -> Tensor:
    """What the blocks hold, ``[B, R, C]``, added up in their order."""
    while len(sums) > 1:
        merged, size = _fewer(sums), sums[0].numel()
        _launch(
            *(moments_kernels.merge_sums, _merging(sums)),
            *(sums, merged, len(sums), size, FAN, tiles.COLUMNS),
        )
        sums = merged
    return sums[0]


def _launch(
    kernel: Any, programs: int, *arguments: Any, warps: int = 4, **options: int
) -> None:
    """Run so many programs of a kernel on the device of its first argument."""
    with torch.cuda.device_of(arguments[0]):
        # multiply and add round apart, as in the reference: a fused one could move a spike
        kernel[(programs,)](*arguments, num_warps=warps, enable_fp_fusion=False, **options)


def _fewer(blocks: Tensor) -> Tensor:
    return blocks.new_empty((-(-len(blocks) // FAN), *blocks.shape[1:]))


def _merging(blocks: Tensor) -> int:
    """How many programs merge them."""
    return tiles.tiles(len(blocks), blocks[0].numel(), FAN, tiles.COLUMNS)


def _registers() -> dict[str, int]:
    """At most 128 for a thread, so that two blocks of 256 share a processor (NVIDIA's).

    Left alone, the assembler takes 180 and leaves room for one.
    """
    return {} if torch.version.hip else {"maxnreg": 128}


def _floats(like: Tensor, *shape: int) -> Tensor:
    return like.new_empty(shape, dtype=torch.float32)
