"""The four operators as PyTorch knows them, and the two autograd nodes made of them.

A registered operator takes tensors and numbers only, so a surrogate travels as its kind
and two floats. ``moments`` hands ``z`` through: the neuron reads that view, so the node's
backward receives the neuron's gradient after autograd has differentiated the norm's rule
between them, and adds the statistics' share in the same pass (M11).
"""

import torch
from torch import Tensor
from torch.library import custom_op

from ..surrogate import Triangle, from_parameters
from .reference import accumulator
from .select import provider


@custom_op("bntt::moments", mutates_args=())
def moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance (M6)."""
    return provider(z).moments(z)


@moments.register_fake
def _(z):
    wide = accumulator(z.dtype)
    shape = (z.shape[0], z.shape[2])
    return z.new_empty(shape, dtype=wide), z.new_empty(shape, dtype=wide)


@custom_op("bntt::moments_backward", mutates_args=())
def moments_backward(
    z: Tensor, dz: Tensor, mean: Tensor, dmean: Tensor, dvar: Tensor
) -> Tensor:
    """What reaches ``z``, its statistics included (M11)."""
    return provider(z).moments_backward(z, dz, mean, dmean, dvar)


@moments_backward.register_fake
def _(z, dz, mean, dmean, dvar):
    return torch.empty_like(z)


@custom_op("bntt::affine_lif", mutates_args=())
def affine_lif(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    leak: float,
    v_threshold: float,
    reset: str,
    keep_state: bool,
) -> tuple[Tensor, Tensor]:
    """Spikes, and the last membrane if it is kept (M1-M3)."""
    # no gradient flows inside an operator, so surrogate and detachment do not matter here
    unused = {"detach_reset": True, "surrogate": Triangle()}
    settings = {"leak": leak, "v_threshold": v_threshold, "reset": reset}
    return provider(z).affine_lif_forward(
        z, a, b, v0, keep_state=keep_state, **settings, **unused
    )


@affine_lif.register_fake
def _(z, a, b, v0, leak, v_threshold, reset, keep_state):
    rows = z.shape[1] if keep_state else 0
    return torch.empty_like(z), a.new_empty((rows, z.shape[2]))


@custom_op("bntt::affine_lif_backward", mutates_args=())
def affine_lif_backward(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    ds: Tensor,
    dv_last: Tensor | None,
    leak: float,
    v_threshold: float,
    reset: str,
    detach_reset: bool,
    kind: int,
    p: float,
    q: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``a·g``, ``Σ g·z``, ``Σ g`` and ``dv0`` (M9)."""
    settings = {"leak": leak, "v_threshold": v_threshold, "reset": reset}
    return provider(z).affine_lif_backward(
        *(z, a, b, v0, ds, dv_last),
        **settings,
        detach_reset=detach_reset,
        surrogate=from_parameters(kind, p, q),
    )


@affine_lif_backward.register_fake
def _(z, a, b, v0, ds, dv_last, *settings):
    sums = a.new_empty(a.shape)
    dv0 = a.new_empty((0, z.shape[2])) if v0 is None else torch.empty_like(v0)
    return torch.empty_like(z), sums, torch.empty_like(sums), dv0


class Moments(torch.autograd.Function):
    """``z -> z, mean, var``."""

    @staticmethod
    def forward(ctx, z):
        """Hand ``z`` through beside its moments."""
        mean, var = moments(z)
        ctx.save_for_backward(z, mean)
        return z.view_as(z), mean, var

    @staticmethod
    def backward(ctx, dz, dmean, dvar):
        """Add the moments' share to the gradient that the neuron left."""
        z, mean = ctx.saved_tensors
        return moments_backward(z, dz.contiguous(), mean, dmean, dvar)


class AffineLIF(torch.autograd.Function):
    """``z, a, b, v0 -> spikes, v``; saves no membrane (M9)."""

    @staticmethod
    def forward(
        ctx, z, a, b, v0, leak, v_threshold, reset, detach_reset, surrogate, keep_state
    ):
        """Spikes and the last membrane."""
        spikes, v = affine_lif(z, a, b, v0, leak, v_threshold, reset, keep_state)
        ctx.save_for_backward(z, a, b, v0)
        ctx.neuron = (leak, v_threshold, reset, detach_reset)
        ctx.slope = (surrogate.kind, *surrogate.parameters)
        ctx.keep_state = keep_state
        return spikes, v

    @staticmethod
    def backward(ctx, ds, dv):
        """The reverse scan."""
        z, a, b, v0 = ctx.saved_tensors
        dv = dv.contiguous() if ctx.keep_state else None
        ag, sum_gz, sum_g, dv0 = affine_lif_backward(
            *(z, a, b, v0, ds.contiguous(), dv), *ctx.neuron, *ctx.slope
        )
        return ag, sum_gz, sum_g, None if v0 is None else dv0, *[None] * 6
