"""The neuron in Triton: one program walks its tile of elements through all of time.

The membrane stays in registers. Every formula is written in the order of the reference and
is compiled without fused multiply-adds, so that the same spikes fall, at the threshold too.
Comparisons with NaN are false and select the branch that hands it on, as in the reference.
"""

# pyright: reportIndexIssue=false, reportOptionalOperand=false
import typing

import triton
import triton.language as tl

from .tiles import place, wide


@triton.jit
@typing.no_type_check
def integrate(v, z, a, b, leak):
    """The membrane before the reset (M1)."""
    return leak * v + (a[None, :] * z + b[None, :])


@triton.jit
@typing.no_type_check
def after_reset(u, v_threshold, RESET: tl.constexpr):
    """The membrane that a step leaves behind which reached ``u`` (M2, M3)."""
    fired = u > v_threshold
    v = u
    if RESET == "soft":
        v = tl.where(fired, u - v_threshold, u)
    elif RESET == "hard":  # infinity times 0 is NaN: an overflow is not rest
        v = tl.where(fired, u * 0.0, u)
    return v


@triton.jit
@typing.no_type_check
def forward(
    z, a, b, v0, spikes, v_last, counts, T, M, C, step, leak, v_threshold,
    RESET: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Integrate, fire, reset (M1-M3); ``step`` numbers lie between two time-steps.

    Each block's numbers of spikes by step and channel go to ``counts``, where it is given.
    """
    block, columns, exist, offsets, inside = place(tl.program_id(0), M, C, ROWS, COLUMNS)
    if counts is not None:
        counts += block * T * C
    v = tl.zeros([ROWS, COLUMNS], tl.float32)
    if v0 is not None:
        v = wide(v0 + offsets, inside)
    for _ in range(T):
        scale, shift = wide(a + columns, exist), wide(b + columns, exist)
        u = integrate(v, wide(z + offsets, inside), scale, shift, leak)
        fired = tl.where(u > v_threshold, 1.0, 0.0)
        tl.store(spikes + offsets, fired.to(spikes.dtype.element_ty), mask=inside)
        if counts is not None:
            counted = tl.sum(((u > v_threshold) & inside).to(tl.int32), axis=0)
            tl.store(counts + columns, counted, mask=exist)
            counts += C
        v = after_reset(u, v_threshold, RESET)
        # the pointers move on, because a product of t and step could exceed 32 bits
        z += step
        spikes += step
        a += C
        b += C
    if v_last is not None:
        tl.store(v_last + offsets, v, mask=inside)


@triton.jit
@typing.no_type_check
def slope(u, inverse, height, steepness, SURROGATE: tl.constexpr):
    """The surrogate's slope at ``u`` over the threshold, whose ``inverse`` is given (M4).

    ``height`` and ``steepness`` are the surrogate's ``constants``.
    """
    x = tl.abs(u * inverse - 1.0)
    if SURROGATE == "Triangle":
        above = 1.0 - x * steepness
        y = height * tl.where(above < 0.0, 0.0, above)
    elif SURROGATE == "Rectangle":
        y = tl.where(x < steepness, height, 0.0)
    elif SURROGATE == "ATan":
        x = steepness * x
        y = tl.div_rn(height, 1.0 + x * x)
    elif SURROGATE == "FastSigmoid":
        x = 1.0 + steepness * x
        y = tl.div_rn(height, x * x)
    else:
        tl.static_assert(SURROGATE == "None", "a surrogate that the kernels do not know")
        y = tl.zeros_like(u)
    return y * inverse


@triton.jit
@typing.no_type_check
def walk(v, z, a, b, offsets, inside, columns, exist, step, C, leak, v_threshold,
         RESET: tl.constexpr, STEPS: tl.constexpr):  # fmt: skip
    """The membrane after ``STEPS`` further steps, without their spikes."""
    for k in tl.static_range(STEPS):
        scale = wide(a + k * C + columns, exist)
        shift = wide(b + k * C + columns, exist)
        u = integrate(v, wide(z + k * step + offsets, inside), scale, shift, leak)
        v = after_reset(u, v_threshold, RESET)
    return v


@triton.jit
@typing.no_type_check
def through_reset(u, ds, h, v_threshold, silent, RESET: tl.constexpr, KEPT: tl.constexpr):
    """What the spike hears, the reset included, and what passes it to ``u`` (M10).

    Where ``silent``, nobody reads the membrane that the reset leaves: ``h`` is 0 there, and
    0 times an infinite ``u`` must not count.
    """
    heard, passed = ds, h
    if RESET == "soft" and KEPT:
        heard = ds - h * v_threshold
    if RESET == "hard":
        passed = tl.where(u > v_threshold, h * 0.0, h)
        if KEPT:
            heard = tl.where(silent, ds, ds - h * u)
    return heard, passed


@triton.jit
@typing.no_type_check
def walk_back(
    v, h, own_leak, own_threshold, z, a, b, ds, ag, sums_gz, sums_g,
    offsets, inside, columns, exist, silent, step, C,
    leak, v_threshold, inverse, height, steepness,
    RESET: tl.constexpr, KEPT: tl.constexpr, SURROGATE: tl.constexpr,
    LEARNS: tl.constexpr, STEPS: tl.constexpr,
):  # fmt: skip
    """A segment of ``STEPS`` time-steps, of which ``v`` is the membrane before the first.

    Its membranes are computed once more and held in registers, with the currents that they
    come from; then the gradient ``h`` of the last goes back through them (M9). ``silent``
    tells where nobody reads the last. The pointers are those of the segment's first step.
    Everything is loaded at once, or each step of the way back would wait for memory.
    """
    before, us, zs, dss = (v,), (), (), ()
    for k in tl.static_range(STEPS):
        scale = wide(a + k * C + columns, exist)
        shift = wide(b + k * C + columns, exist)
        z_k = tl.load(z + k * step + offsets, mask=inside, other=0.0)
        u = integrate(before[k], z_k.to(tl.float32), scale, shift, leak)
        us, zs = us + (u,), zs + (z_k,)
        if ds is not None:
            dss = dss + (tl.load(ds + k * step + offsets, mask=inside, other=0.0),)
        before = before + (after_reset(u, v_threshold, RESET),)
    for k in tl.static_range(STEPS - 1, -1, -1):
        u = us[k]
        ds_k = tl.zeros_like(u)
        if ds is not None:
            ds_k = dss[k].to(tl.float32)
        heard, passed = through_reset(u, ds_k, h, v_threshold, silent, RESET, KEPT)
        slope_k = slope(u, inverse, height, steepness, SURROGATE)
        # a row that does not exist has a membrane all the same, which may be NaN
        g = tl.where(inside, heard * slope_k + passed, 0.0)
        if LEARNS:
            own_leak += tl.where(inside, g * before[k], 0.0)
            from_slope = heard * slope_k * (u * inverse)
            if RESET == "soft":
                from_slope += tl.where(u > v_threshold, h, h * 0.0)
            own_threshold -= tl.where(inside, from_slope, 0.0)
        scale = wide(a + k * C + columns, exist)
        ag_k = (scale[None, :] * g).to(ag.dtype.element_ty)
        tl.store(ag + k * step + offsets, ag_k, mask=inside)
        sum_gz = tl.sum(g * zs[k].to(tl.float32), axis=0)
        tl.store(sums_gz + k * C + columns, sum_gz, mask=exist)
        tl.store(sums_g + k * C + columns, tl.sum(g, axis=0), mask=exist)
        h = leak * g
        silent = tl.zeros_like(silent)
    return h, own_leak, own_threshold


@triton.jit
@typing.no_type_check
def backward(
    z, a, b, v0, ds, dv_last, heads, ag, dv0, sums_gz, sums_g, sums_own,
    T, M, C, step, segments, leak, v_threshold, inverse, height, steepness,
    RESET: tl.constexpr, KEPT: tl.constexpr, SURROGATE: tl.constexpr,
    LEAD: tl.constexpr, SEGMENT: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The reverse scan (M9): ``ag``, ``dv0`` and each block's sums of ``g·z`` and ``g``.

    Time is ``LEAD`` steps and then ``segments`` of ``SEGMENT`` steps. The first pass leaves
    the membrane at the head of each segment but the last in ``heads``; the second goes
    through the segments from the last to the first and computes the others again. Where
    ``sums_own`` is given, each block's gradients of leak and threshold go there, two rows.
    """
    LEARNS: tl.constexpr = sums_own is not None
    block, columns, exist, offsets, inside = place(tl.program_id(0), M, C, ROWS, COLUMNS)
    # a time-step's number times these may exceed 32 bits
    step, C = tl.cast(step, tl.int64), tl.cast(C, tl.int64)
    sums_gz += block * T * C
    sums_g += block * T * C
    start = tl.zeros([ROWS, COLUMNS], tl.float32)
    if v0 is not None:
        start = wide(v0 + offsets, inside)
    v = walk(start, z, a, b, offsets, inside, columns, exist, step, C, leak, v_threshold,
             RESET, LEAD)  # fmt: skip
    for s in range(segments - 1):
        t = LEAD + s * SEGMENT
        tl.store(heads + s * step + offsets, v, mask=inside)
        v = walk(v, z + t * step, a + t * C, b + t * C, offsets, inside, columns, exist,
                 step, C, leak, v_threshold, RESET, SEGMENT)  # fmt: skip
    # what one thread wrote another may read, should the two loads be laid out differently
    tl.debug_barrier()

    h = tl.zeros([ROWS, COLUMNS], tl.float32)
    silent = h == 0.0
    if dv_last is not None:
        h = wide(dv_last + offsets, inside)
        silent = tl.zeros_like(silent)
    own_leak = tl.zeros([ROWS, COLUMNS], tl.float32)
    own_threshold = tl.zeros([ROWS, COLUMNS], tl.float32)
    for back in range(segments):
        s = segments - 1 - back
        t = LEAD + s * SEGMENT
        ds_t = ds
        if ds is not None:
            ds_t = ds + t * step
        h, own_leak, own_threshold = walk_back(
            v, h, own_leak, own_threshold, z + t * step, a + t * C, b + t * C, ds_t,
            ag + t * step, sums_gz + t * C, sums_g + t * C,
            offsets, inside, columns, exist, silent, step, C,
            leak, v_threshold, inverse, height, steepness,
            RESET, KEPT, SURROGATE, LEARNS, SEGMENT,
        )  # fmt: skip
        silent = tl.zeros_like(silent)
        if s > 0:
            v = tl.load(heads + (s - 1) * step + offsets, mask=inside, other=0.0)
    if LEAD > 0:
        h, own_leak, own_threshold = walk_back(
            start, h, own_leak, own_threshold, z, a, b, ds, ag, sums_gz, sums_g,
            offsets, inside, columns, exist, silent, step, C,
            leak, v_threshold, inverse, height, steepness,
            RESET, KEPT, SURROGATE, LEARNS, LEAD,
        )  # fmt: skip
    if dv0 is not None:
        tl.store(dv0 + offsets, h, mask=inside)
    if LEARNS:
        own = sums_own + block * 2 * C + columns
        tl.store(own, tl.sum(own_leak, axis=0), mask=exist)
        tl.store(own + C, tl.sum(own_threshold, axis=0), mask=exist)
