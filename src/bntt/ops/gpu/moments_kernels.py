"""Moments in Triton (M6, M7, M11): per tile, then merged in a fixed order.

Every addend is divided before it is added, so that a mean or a variance is infinite only
where it is itself out of range, and not where a sum on the way to it is.
"""

# pyright: reportIndexIssue=false, reportOptionalOperand=false
import typing

import triton
import triton.language as tl

from .tiles import place, wide


@triton.jit
@typing.no_type_check
def block_moments(
    z, means, shares, T, M, C, step, tiles, share,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The mean of each block, and what it adds to the variance of all about that mean.

    The second is the centred sum of squares times ``share``, which is ``1 / M``. One
    program per time-step and tile, of which a step has ``tiles``.
    """
    t = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    block, columns, exist, offsets, inside = place(tile, M, C, ROWS, COLUMNS)
    x = wide(z + t * step + offsets, inside)
    full: tl.constexpr = 1.0 / ROWS  # a power of two: the product is exact
    count = tl.minimum(M - block * ROWS, ROWS).to(tl.float32)
    whole = ROWS / count
    mean = tl.sum(x * full, axis=0) * whole
    # once more about that mean, for its last digits
    rest = tl.where(inside, x * full - mean[None, :] * full, 0.0)
    mean = tl.where(tl.abs(mean) < float("inf"), mean + tl.sum(rest, axis=0) * whole, mean)
    centred = tl.where(inside, x - mean[None, :], 0.0)
    out = (block * T + t) * C + columns
    tl.store(means + out, mean, mask=exist)
    tl.store(shares + out, tl.sum(centred * (centred * share), axis=0), mask=exist)


@triton.jit
@typing.no_type_check
def merge_moments(
    means, shares, merged_means, merged_shares, blocks, columns, span, M,
    FAN: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Merge ``FAN`` blocks of ``span`` elements each into one (M7), in float64."""
    group, column, exist, at, inside = place(
        tl.program_id(0), blocks, columns, FAN, COLUMNS
    )
    block = group * FAN + tl.arange(0, FAN)
    count = tl.maximum(tl.minimum(M - block * span, span), 0).to(tl.float64)[:, None]
    mean = tl.load(means + at, mask=inside, other=0.0).to(tl.float64)
    share = tl.load(shares + at, mask=inside, other=0.0).to(tl.float64)
    merged = tl.sum(mean * count, axis=0) / tl.sum(count, axis=0)
    apart = mean - merged[None, :]
    apart = tl.where(inside, apart * apart * (count / M), 0.0)
    out = group * columns + column
    tl.store(merged_means + out, merged.to(tl.float32), mask=exist)
    total = tl.sum(share, axis=0) + tl.sum(apart, axis=0)
    tl.store(merged_shares + out, total.to(tl.float32), mask=exist)


@triton.jit
@typing.no_type_check
def merge_sums(sums, merged, blocks, columns, FAN: tl.constexpr, COLUMNS: tl.constexpr):
    """Add up ``FAN`` blocks' sums, in float64."""
    group, column, exist, at, inside = place(
        tl.program_id(0), blocks, columns, FAN, COLUMNS
    )
    total = tl.sum(tl.load(sums + at, mask=inside, other=0.0).to(tl.float64), axis=0)
    out = group * columns + column
    tl.store(merged + out, total.to(tl.float32), mask=exist)


@triton.jit
@typing.no_type_check
def centre_and_add(
    z, dz, mean, slope, shift, out, M, C, step, tiles,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """``dz + slope·(z - mean) + shift`` (M11); programs as for the moments."""
    t = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    _, columns, exist, offsets, inside = place(tile, M, C, ROWS, COLUMNS)
    at = t * C + columns
    centred = wide(z + t * step + offsets, inside) - wide(mean + at, exist)[None, :]
    from_var = wide(slope + at, exist)[None, :] * centred
    total = wide(dz + t * step + offsets, inside) + from_var
    total = total + wide(shift + at, exist)[None, :]
    tl.store(out + t * step + offsets, total.to(out.dtype.element_ty), mask=inside)
