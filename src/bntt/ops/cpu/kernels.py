"""The Numba kernels. Each works on blocks ``first … last`` of ``rows`` elements.

Arrays are ``[T, M·C]`` with the channel fastest; an empty one stands for an argument that
is absent. Inside a block a tile of elements runs through all of time while it is in cache.
Loops touch few arrays each: past some pairs that might overlap, LLVM stops vectorising. NaN
goes the way that it goes in the reference: a comparison with NaN is false, so comparisons
are written such that NaN takes the branch that passes it on.
"""

import typing

import numpy as np
from numba import config, njit

from . import kernel_cache
from .bfloat16 import narrow, spike, widen

COMPILED = not config.DISABLE_JIT  # pyright: ignore[reportAttributeAccessIssue]
"""Whether there are kernels: Numba can be told, for debugging, to compile nothing."""

SOFT, HARD, NONE = 0, 1, 2
TRIANGLE, RECTANGLE, ATAN, FLAT = 0, 1, 2, -1
TILE = 2048  # numbers of one time-step that a thread works on at a time
CACHE = 65536  # numbers of all time-steps that it keeps at hand


def _compile(function):
    """Compile at the first call, and keep the result on disk if there is a place for it."""
    compiled = njit(nogil=True, error_model="numpy")(function)
    if COMPILED:
        kernel_cache.keep(compiled)
    return compiled


@_compile
@typing.no_type_check
def block_moments(first, last, z, C, rows, mean, squares):
    """Mean and centred sum of squares of each block, about its first rows' mean (M7)."""
    T, size = z.shape
    pivot = np.empty(C, mean.dtype)
    for block in range(first, last):
        n0, n1 = block * rows * C, min(size, (block + 1) * rows * C)
        for t in range(T):
            total, square = mean[block, t], squares[block, t]
            count = total.dtype.type((n1 - n0) // C)
            pivot[:] = 0
            few = max(1, (n1 - n0) // C // 8)  # so many that an outlier moves it little
            share = total.dtype.type(1 / few)
            for n in range(n0, n0 + few * C, C):
                row = z[t, n : n + C]
                for c in range(C):
                    pivot[c] += widen(row[c]) * share
            total[:] = 0
            square[:] = 0
            for n in range(n0, n1, C):
                row = z[t, n : n + C]
                for c in range(C):
                    d = widen(row[c]) - pivot[c]
                    total[c] += d
                    square[c] += d * d
            for c in range(C):
                offset = total[c] / count
                square[c] -= total[c] * offset
                total[c] = pivot[c] + offset


@_compile
@typing.no_type_check
def merge_moments(means, squares, M, rows, mean_out, var_out):
    """Merge the blocks' moments one after the other (Chan et al. 1983; M7), in float64.

    Return whether all of them are finite.
    """
    B, T, C = means.shape
    finite = True
    for t in range(T):
        for c in range(C):
            count, mean, square = 0.0, 0.0, 0.0
            for block in range(B):
                n = float(min(rows, M - block * rows))
                delta = means[block, t, c] - mean
                mean += delta * n / (count + n)
                square += squares[block, t, c] + delta * delta * count * n / (count + n)
                count += n
            mean_out[t, c] = mean
            var_out[t, c] = (0.0 if square < 0.0 else square) / M
            finite &= np.isfinite(mean_out[t, c]) and np.isfinite(var_out[t, c])
    return finite


@_compile
@typing.no_type_check
def moments_past_overflow(z, mean, var):
    """Again, in float64, the steps where a sum left the range of its type (M6).

    Each addend is divided before it is added, so that only a mean or a variance that is
    itself out of range, or made of what is no number, comes out as infinity or NaN.
    """
    (T, C), size = mean.shape, z.shape[1]
    share = 1.0 / (size // C)
    root = np.sqrt(share)
    middle, variance = np.empty(C, np.float64), np.empty(C, np.float64)
    for t in range(T):
        if np.isfinite(mean[t]).all() and np.isfinite(var[t]).all():
            continue
        middle[:] = 0
        variance[:] = 0
        for n in range(0, size, C):
            for c in range(C):
                middle[c] += widen(z[t, n + c]) * share
        for n in range(0, size, C):
            for c in range(C):
                d = (widen(z[t, n + c]) - middle[c]) * root
                variance[c] += d * d
        for c in range(C):
            mean[t, c] = middle[c]
            var[t, c] = variance[c]


@_compile
@typing.no_type_check
def merge_sums(sums, out):
    """Add up the blocks' sums in their order, in float64."""
    B, T, C = sums.shape
    total = np.empty(C, np.float64)
    for t in range(T):
        total[:] = 0
        for block in range(B):
            total += sums[block, t]
        for c in range(C):
            out[t, c] = total[c]


@_compile
@typing.no_type_check
def _tile(T, C, arrays):
    """Numbers of one time-step in a tile: whole elements, ``arrays`` of them in cache."""
    wanted = min(TILE, CACHE // (T * arrays))
    return max(1, wanted // C) * C


@_compile
@typing.no_type_check
def _repeat(x, tile):
    """``[T, C]`` repeated along a tile, so that loops run over the tile in one go."""
    T, C = x.shape
    out = np.empty((T, tile), x.dtype)
    for t in range(T):
        for n in range(0, tile, C):
            out[t, n : n + C] = x[t]
    return out


@_compile
@typing.no_type_check
def _fire(z, a, b, leak, v_threshold, drop, hard, v, spikes):
    """One time-step of a tile: integrate, fire and reset ``v`` (M1-M3)."""
    zero = v_threshold - v_threshold
    for n in range(len(v)):
        u = leak * v[n] + (a[n] * widen(z[n]) + b[n])
        fired = u > v_threshold
        spikes[n] = spike(fired, spikes[n])
        v[n] = u * zero if fired & hard else u - (drop if fired else zero)


@_compile
@typing.no_type_check
def _retrace(z, a, b, leak, v_threshold, drop, hard, v, membrane):
    """The same, keeping ``u`` where :func:`_fire` keeps the spikes."""
    zero = v_threshold - v_threshold
    for n in range(len(v)):
        u = leak * v[n] + (a[n] * widen(z[n]) + b[n])
        fired = u > v_threshold
        membrane[n] = u
        v[n] = u * zero if fired & hard else u - (drop if fired else zero)


@_compile
@typing.no_type_check
def forward(first, last, z, a, b, v0, rows, scalars, reset, spikes, v_last, counts):
    """Integrate, fire and reset, a tile at a time (M1-M3).

    ``counts``, if it is not empty, receives the number of spikes by step and channel. A
    tile's are counted while it is in cache.
    """
    (T, C), size = a.shape, z.shape[1]
    leak, v_threshold = scalars[0], scalars[1]
    drop, hard = v_threshold * (reset == SOFT), reset == HARD
    tile = _tile(T, C, 2)
    scale, shift = _repeat(a, tile), _repeat(b, tile)
    scratch = np.empty(tile, a.dtype)
    counted = np.zeros((len(counts), tile), np.int32)
    end = min(size, last * rows * C)
    for n0 in range(first * rows * C, end, tile):
        n1 = min(n0 + tile, end)
        v = scratch[: n1 - n0]
        _copy_or_zero(v0, n0, v)
        for t in range(T):
            _fire(
                *(z[t, n0:n1], scale[t], shift[t]),
                *(leak, v_threshold, drop, hard, v, spikes[t, n0:n1]),
            )
            if len(counts) > 0:
                _count(spikes[t, n0:n1], counted[t])
        if len(v_last) > 0:
            v_last[n0:n1] = v
    _gather(counted, counts)


@_compile
@typing.no_type_check
def _count(spikes, counted):
    """Add the spikes of one time-step of a tile to what its places have counted."""
    for n in range(len(spikes)):
        counted[n] += np.int32(spikes[n] != 0)


@_compile
@typing.no_type_check
def _copy_or_zero(source, n0, out):
    if len(source) > 0:
        out[:] = source[n0 : n0 + len(out)]
    else:
        out[:] = 0


@_compile
@typing.no_type_check
def _slope(u, v_threshold, kind, height, steepness, out):
    """The surrogate's slope at ``u``, with its ``1 / v_threshold`` (M4)."""
    one = v_threshold / v_threshold
    zero, scale = one - one, one / v_threshold
    height = height * scale
    if kind == TRIANGLE:
        for n in range(len(u)):
            above = one - abs(u[n] * scale - one) * steepness
            out[n] = height * (zero if above < zero else above)
    elif kind == RECTANGLE:
        for n in range(len(u)):
            out[n] = height if abs(u[n] * scale - one) < steepness else zero
    elif kind == ATAN:
        for n in range(len(u)):
            x = steepness * (u[n] * scale - one)
            out[n] = height / (one + x * x)
    elif kind == FLAT:
        out[:] = 0
    else:
        for n in range(len(u)):
            x = one + steepness * abs(u[n] * scale - one)
            out[n] = height / (x * x)


@_compile
@typing.no_type_check
def _through_reset(u, ds, v_threshold, reset, detached, h, heard):
    """Leave in ``h`` what passes the reset, and in ``heard`` the spike's gradient (M10).

    That gradient includes the spike's share in the reset. If the reset is ``detached``, it
    is ``ds`` itself, and ``heard`` is left as it is.
    """
    one = v_threshold / v_threshold
    zero = one - one
    if reset == HARD and detached:
        for n in range(len(u)):
            h[n] *= zero if u[n] > v_threshold else one
    elif reset == HARD:
        for n in range(len(u)):
            heard[n] = widen(ds[n]) - h[n] * u[n]
            h[n] *= zero if u[n] > v_threshold else one
    elif reset == SOFT and not detached:
        for n in range(len(u)):
            heard[n] = widen(ds[n]) - h[n] * v_threshold


@_compile
@typing.no_type_check
def _widened(source, out):
    for n in range(len(out)):
        out[n] = widen(source[n])


@_compile
@typing.no_type_check
def _step_back(a, ds, slope, leak, h, ag):
    """One step of the reverse scan: ``slope`` becomes ``g``, and ``h`` the next ``h``."""
    for n in range(len(h)):
        g = h[n] + widen(ds[n]) * slope[n]
        slope[n] = g
        ag[n] = narrow(a[n] * g, ag[n])
        h[n] = leak * g


@_compile
@typing.no_type_check
def _add_up(g, z, sum_gz, sum_g):
    for n in range(len(g)):
        sum_gz[n] += g[n] * widen(z[n])
        sum_g[n] += g[n]


@_compile
@typing.no_type_check
def _add_up_leak(g, v, sum_gv):
    for n in range(len(g)):
        sum_gv[n] += g[n] * v[n]


@_compile
@typing.no_type_check
def _add_up_threshold(u, heard, slope, h, v_threshold, reset, total):
    one = v_threshold / v_threshold
    scale = one / v_threshold
    for n in range(len(u)):
        total[n] -= heard[n] * slope[n] * (u[n] * scale)
    if reset == SOFT:
        for n in range(len(u)):
            total[n] -= h[n] * (one if u[n] > v_threshold else one - one)


@_compile
@typing.no_type_check
def _left_behind(u, v_threshold, drop, hard, v):
    """The membrane after the reset of a step that reached ``u`` (M3)."""
    zero = v_threshold - v_threshold
    for n in range(len(u)):
        fired = u[n] > v_threshold
        v[n] = u[n] * zero if fired & hard else u[n] - (drop if fired else zero)


@_compile
@typing.no_type_check
def _gather(tiles, out):
    """Add up what a tile holds per channel: ``[T, tile]`` to ``[T, C]``."""
    T, C = out.shape
    for t in range(T):
        out[t] = 0
        for n in range(0, tiles.shape[1], C):
            out[t] += tiles[t, n : n + C]


@_compile
@typing.no_type_check
def backward(
    first, last, z, a, b, v0, ds, dv_last, rows, scalars, reset, detached, kind, constants,
    ag, dv0, sums_gz, sums_g, sums_own,
):  # fmt: skip
    """The reverse scan (M9): ``ag``, ``dv0`` and each block's sums of ``g·z`` and ``g``.

    ``sums_own``, if it is not empty, receives the gradients of leak and threshold, two rows
    for each block.
    """
    (T, C), size = a.shape, z.shape[1]
    leak, v_threshold = scalars[0], scalars[1]
    drop, hard = v_threshold * (reset == SOFT), reset == HARD
    learns = len(sums_own) > 0
    listens = not detached and (hard or reset == SOFT)
    tile = _tile(T, C, 5)
    scale, shift = _repeat(a, tile), _repeat(b, tile)
    sum_gz, sum_g, membrane = (
        np.empty((T, tile), a.dtype),
        np.empty((T, tile), a.dtype),
        np.empty((T, tile), a.dtype),
    )
    carry, slope = np.empty(tile, a.dtype), np.empty(tile, a.dtype)
    echo = np.empty(tile, a.dtype)
    sum_own = np.empty((2, tile if learns else 0), a.dtype)
    for block in range(first, last):
        sum_gz[:] = 0
        sum_g[:] = 0
        sum_own[:] = 0
        end = min(size, (block + 1) * rows * C)
        for n0 in range(block * rows * C, end, tile):
            n1 = min(n0 + tile, end)
            width = n1 - n0
            h, g = carry[:width], slope[:width]
            _copy_or_zero(v0, n0, h)
            for t in range(T):  # the membrane, computed once more rather than stored
                _retrace(
                    z[t, n0:n1], scale[t], shift[t], leak, v_threshold, drop, hard, h,
                    membrane[t, :width],
                )  # fmt: skip
            _copy_or_zero(dv_last, n0, h)
            for t in range(T - 1, -1, -1):
                u, ds_t, ag_t = membrane[t, :width], ds[t, n0:n1], ag[t, n0:n1]
                _slope(u, v_threshold, kind, constants[0], constants[1], g)
                # the last reset passes nothing back where nobody reads the last membrane
                passes, heard = t < T - 1 or len(dv_last) > 0, echo[:width]
                if passes:
                    _through_reset(u, ds_t, v_threshold, reset, detached, h, heard)
                if learns:
                    if not (passes and listens):
                        _widened(ds_t, heard)
                    _add_up_threshold(u, heard, g, h, v_threshold, reset, sum_own[1])
                if passes and listens:
                    _step_back(scale[t], heard, g, leak, h, ag_t)
                else:
                    _step_back(scale[t], ds_t, g, leak, h, ag_t)
                _add_up(g, z[t, n0:n1], sum_gz[t], sum_g[t])
                if learns:
                    before = echo[:width]
                    if t > 0:
                        u = membrane[t - 1, :width]
                        _left_behind(u, v_threshold, drop, hard, before)
                    else:
                        _copy_or_zero(v0, n0, before)
                    _add_up_leak(g, before, sum_own[0])
            if len(dv0) > 0:
                dv0[n0:n1] = h
        _gather(sum_gz, sums_gz[block])
        _gather(sum_g, sums_g[block])
        if learns:
            _gather(sum_own, sums_own[block])


@_compile
@typing.no_type_check
def centre_and_add(first, last, z, dz, mean, slope, shift, rows, out):
    """``dz + slope·(z − mean) + shift`` (M11)."""
    (T, C), size = mean.shape, z.shape[1]
    for t in range(T):
        mean_t, slope_t, shift_t = mean[t], slope[t], shift[t]
        for n in range(first * rows * C, min(size, last * rows * C), C):
            z_r, dz_r, out_r = z[t, n : n + C], dz[t, n : n + C], out[t, n : n + C]
            for c in range(C):
                centred = widen(z_r[c]) - mean_t[c]
                total = widen(dz_r[c]) + slope_t[c] * centred + shift_t[c]
                out_r[c] = narrow(total, out_r[c])
