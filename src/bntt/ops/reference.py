"""What the operators compute, in the fewest lines: the specification of every backend.

Tensors are ``[T, M, C]``: time-steps, elements (batch times space), channels. Statistics
and membranes are kept in float32, or in float64 where ``z`` is. The two forward functions
are differentiable by autograd; the two backward functions are the same derivatives by hand
(M9-M11 in ``docs/method.md``), which is what a fused backend computes.
"""

import torch
from torch import Tensor

from .surrogate import Surrogate


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``M``, per step and channel: two ``[T, C]`` (M6).

    A mean can be in range where the sum is not, so each number is divided before it is
    added.
    """
    z = z.to(accumulator(z.dtype))
    return (z / z.shape[1]).sum(1), z.var(1, correction=0)


def affine_lif_forward(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    *,
    leak: float | Tensor,
    v_threshold: float | Tensor,
    reset: str,
    detach_reset: bool,
    surrogate: Surrogate,
    keep_state: bool = True,
    count_spikes: bool = False,
) -> tuple[Tensor, ...]:
    """Scale and shift, integrate, fire, reset: spikes ``[T, M, C]`` and the last ``v``.

    ``v`` is ``[M, C]``, or has no rows if ``keep_state`` is false. If spikes are to be
    counted, their numbers by step and channel follow: ``[T, C]``, int64.
    """
    v = z.new_zeros(z.shape[1:], dtype=a.dtype) if v0 is None else v0
    spikes = []
    for z_t, a_t, b_t in zip(z.to(a.dtype), a, b, strict=True):
        u = leak * v + (a_t * z_t + b_t)  # integrate (M1)
        s = surrogate.fire(u, v_threshold)  # fire (M2)
        v = _reset(u, s.detach() if detach_reset else s, v_threshold, reset)  # reset (M3)
        spikes.append(s)
    results = torch.stack(spikes).to(z.dtype), v if keep_state else v[:0]
    return (*results, count(results[0])) if count_spikes else results


def count(spikes: Tensor) -> Tensor:
    """How many of ``[T, M, C]`` are spikes, per step and channel: ``[T, C]``, int64."""
    return (spikes.detach() != 0).sum(1)


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
    """The gradients of z, a, b and v0: ``a·g``, ``Σ g·z``, ``Σ g`` and ``dv0`` (M9).

    The membranes are computed once more. ``dv0`` has no rows without ``v0``. If the neuron
    ``learns``, the gradients of leak and threshold follow, summed per channel: ``[2, C]``.
    A gradient of None is not the same as zeros: an output that nobody reads passes nothing
    back, while zero times NaN would be NaN.
    """
    before = [z.new_zeros(z.shape[1:], dtype=a.dtype) if v0 is None else v0]
    z_wide, us = z.to(a.dtype), []
    for z_t, a_t, b_t in zip(z_wide, a, b, strict=True):
        us.append(leak * before[-1] + (a_t * z_t + b_t))
        s = (us[-1] > v_threshold).to(a.dtype)
        before.append(_reset(us[-1], s, v_threshold, reset))
    unheard = ds is None and (detach_reset or reset == "none")
    dss = torch.zeros_like(z_wide) if ds is None else ds.to(a.dtype)
    gs, h, own = [], dv_last, a.new_zeros(2, z.shape[2])
    for u, v, ds_t in zip(reversed(us), before[-2::-1], dss.flip(0), strict=True):
        slope = surrogate.derivative(u / v_threshold - 1) / v_threshold
        slope = torch.zeros_like(u) if unheard else slope
        heard, through = ds_t, None
        if h is not None:
            heard, through = _back_through_reset(
                u, ds_t, h, v_threshold, reset, detach_reset
            )
        g = heard * slope if through is None else heard * slope + through
        if learns:
            own[0] += (g * v).sum(0)
            own[1] -= (heard * slope * (u / v_threshold)).sum(0)
            if h is not None and reset == "soft":
                own[1] -= (h * (u > v_threshold).to(u.dtype)).sum(0)
        gs.append(g)
        h = leak * g
    dv0 = a.new_zeros((0, z.shape[2])) if v0 is None else leak * gs[-1]
    g = torch.stack(gs[::-1])
    results = (a[:, None] * g).to(z.dtype), (g * z_wide).sum(1), g.sum(1), dv0
    return (*results, own) if learns else results


def moments_backward(
    z: Tensor, dz: Tensor, mean: Tensor, dmean: Tensor, dvar: Tensor
) -> Tensor:
    """``dz`` plus what reached ``z`` through its own mean and variance (M11)."""
    count = z.shape[1]
    centred = z.to(mean.dtype) - mean[:, None]
    from_var, from_mean = (2 / count * dvar)[:, None] * centred, (dmean / count)[:, None]
    return (dz.to(mean.dtype) + from_var + from_mean).to(z.dtype)


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """The type in which statistics and membranes of such currents are kept.

    float64 for float64, and float32 for all narrower types.
    """
    return torch.float64 if dtype == torch.float64 else torch.float32


def _reset(u: Tensor, s: Tensor, v_threshold: float | Tensor, reset: str) -> Tensor:
    match reset:
        case "soft":
            return u - v_threshold * s
        case "hard":
            return u * (1 - s)
        case _:
            return u


def _back_through_reset(
    u: Tensor, ds: Tensor, h: Tensor, v_threshold: float, reset: str, detached: bool
) -> tuple[Tensor, Tensor]:
    """The gradient of the spike, its share through the reset included, and that of ``u``.

    The second is what reaches ``u`` past the spike (M10).
    """
    passed = h * (1 - (u > v_threshold).to(u.dtype)) if reset == "hard" else h
    match reset, detached:
        case "soft", False:
            return ds - h * v_threshold, passed
        case "hard", False:
            return ds - h * u, passed
        case _:
            return ds, passed
