"""What is computed, in the fewest lines: the specification of every provider.

Tensors are ``[T, M, C]``: time-steps, elements (batch times space), channels. Statistics
and membranes are kept in float32, or in float64 where ``z`` is. The two forward functions
are differentiable by autograd; the two backward functions are the same derivatives by hand
(M9-M11 in ``docs/method.md``), which is what a fused provider computes.
"""

import torch
from torch import Tensor

from ..surrogate import Surrogate


def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance over ``M``, per step and channel: two ``[T, C]`` (M6)."""
    z = z.to(accumulator(z.dtype))
    return z.mean(1), z.var(1, correction=0)


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
) -> tuple[Tensor, Tensor]:
    """Scale and shift, integrate, fire, reset: spikes ``[T, M, C]`` and the last ``v``.

    ``v`` has no rows unless it is to be kept.
    """
    v = z.new_zeros(z.shape[1:], dtype=a.dtype) if v0 is None else v0
    spikes = []
    for z_t, a_t, b_t in zip(z.to(a.dtype), a, b, strict=True):
        u = leak * v + (a_t * z_t + b_t)  # integrate (M1)
        s = surrogate.fire(u, v_threshold)  # fire (M2)
        v = _reset(u, s.detach() if detach_reset else s, v_threshold, reset)  # reset (M3)
        spikes.append(s)
    return torch.stack(spikes).to(z.dtype), v if keep_state else v[:0]


def affine_lif_backward(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    ds: Tensor,
    dv_last: Tensor | None,
    *,
    leak: float,
    v_threshold: float,
    reset: str,
    detach_reset: bool,
    surrogate: Surrogate,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``a·g``, ``Σ g·z``, ``Σ g`` and ``dv0``, from the membrane computed once more (M9).

    ``dv0`` has no rows without ``v0``.
    """
    v = z.new_zeros(z.shape[1:], dtype=a.dtype) if v0 is None else v0
    h = torch.zeros_like(v) if dv_last is None else dv_last
    z_wide, us = z.to(a.dtype), []
    for z_t, a_t, b_t in zip(z_wide, a, b, strict=True):
        us.append(leak * v + (a_t * z_t + b_t))
        v = _reset(us[-1], (us[-1] > v_threshold).to(a.dtype), v_threshold, reset)
    gs = []
    for u, ds_t in zip(reversed(us), ds.to(a.dtype).flip(0), strict=True):
        slope = surrogate.derivative(u / v_threshold - 1) / v_threshold
        gs.append(
            ds_t * slope + _reset_gain(u, slope, v_threshold, reset, detach_reset) * h
        )
        h = leak * gs[-1]
    g = torch.stack(gs[::-1])
    dv0 = h[:0] if v0 is None else h
    return (a[:, None] * g).to(z.dtype), (g * z_wide).sum(1), g.sum(1), dv0


def moments_backward(
    z: Tensor, dz: Tensor, mean: Tensor, dmean: Tensor, dvar: Tensor
) -> Tensor:
    """``dz`` plus what reached ``z`` through its own mean and variance (M11)."""
    count = z.shape[1]
    centred = z.to(mean.dtype) - mean[:, None]
    through = (2 / count * dvar)[:, None] * centred + (dmean / count)[:, None]
    return (dz.to(mean.dtype) + through).to(z.dtype)


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """The type of statistics and membranes for currents of type ``dtype``."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _reset(u: Tensor, s: Tensor, v_threshold: float, reset: str) -> Tensor:
    match reset:
        case "soft":
            return u - v_threshold * s
        case "hard":
            return u * (1 - s)
        case _:
            return u


def _reset_gain(
    u: Tensor, slope: Tensor, v_threshold: float, reset: str, detached: bool
) -> Tensor | float:
    """``dv/du``: how much of the gradient passes the reset (M10)."""
    match reset, detached:
        case "soft", False:
            return 1 - v_threshold * slope
        case "hard", True:
            return (u <= v_threshold).to(u.dtype)
        case "hard", False:
            return (u <= v_threshold).to(u.dtype) - u * slope
        case _:
            return 1.0
