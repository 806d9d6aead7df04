"""The operators as PyTorch knows them, and the two autograd nodes made of them.

A registered operator takes tensors and numbers only, so a surrogate travels as its kind
and two floats. ``moments`` hands ``z`` through and the neuron reads that view. The node's
backward therefore receives the neuron's gradient after autograd has differentiated the
norm's rule between them, and adds the statistics' share in the same pass (M11).

They are registered through ``torch.library.Library``, because ``custom_op`` would import
all of ``torch.compile`` at the first call, which takes seconds.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from . import vmapped
from .backends import backend_module
from .checks import check_like, check_moments, check_scan, check_shapes
from .function import Function
from .reference import accumulator
from .surrogate import Triangle, from_parameters

LIBRARY = torch.library.Library("bntt", "DEF")
NEURON = "float leak, float v_threshold, str reset"


def _register(schema: str, compute: Callable[..., Any], shapes: Callable[..., Any]) -> Any:
    """Register an operator with PyTorch and return it.

    Args:
        schema: Its name and signature.
        compute: What it computes.
        shapes: The same for tensors without values; it returns empty tensors of the shapes
            and types that ``compute`` would return.
    """
    name = schema.partition("(")[0]
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, compute, "CompositeExplicitAutograd")
    qualified = f"bntt::{name}"
    torch.library.register_fake(qualified, shapes, lib=LIBRARY)
    operator = getattr(torch.ops.bntt, name).default
    torch.library.register_vmap(qualified, vmapped.rule(operator), lib=LIBRARY)
    return operator


def _contiguous(*tensors: Tensor | None) -> list[Any]:
    """The tensors with their memory in the order of their axes, as the kernels read it."""
    return [None if tensor is None else tensor.contiguous() for tensor in tensors]


def _like(z: Tensor) -> Tensor:
    return torch.empty_like(z, memory_format=torch.contiguous_format)


def _moments(z: Tensor) -> tuple[Tensor, Tensor]:
    check_moments(z)
    return backend_module(z).moments(z.contiguous())


def _moments_shapes(z: Tensor) -> tuple[Tensor, Tensor]:
    check_moments(z)
    wide = accumulator(z.dtype)
    shape = (z.shape[0], z.shape[2])
    return z.new_empty(shape, dtype=wide), z.new_empty(shape, dtype=wide)


def _check_moments_backward(
    z: Tensor, dz: Tensor, mean: Tensor, dmean: Tensor, dvar: Tensor
) -> None:
    check_moments(z)
    check_like(z, False, dz=dz)
    check_like(z, True, mean=mean, dmean=dmean, dvar=dvar)
    check_shapes(z.shape, dz=dz)
    check_shapes(z.shape[::2], mean=mean, dmean=dmean, dvar=dvar)


def _moments_backward(
    z: Tensor, dz: Tensor, mean: Tensor, dmean: Tensor, dvar: Tensor, asked: str = ""
) -> Tensor:
    _check_moments_backward(z, dz, mean, dmean, dvar)
    return backend_module(z, asked).moments_backward(*_contiguous(z, dz, mean, dmean, dvar))


def _moments_backward_shapes(z, dz, mean, dmean, dvar, asked=""):
    _check_moments_backward(z, dz, mean, dmean, dvar)
    return _like(z)


def _check_lif(z: Tensor, a: Tensor, b: Tensor, v0: Tensor | None) -> None:
    check_scan(z, a, b, v0)
    check_like(z, True, a=a, b=b, v0=v0)


def _affine_lif(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    leak: float,
    v_threshold: float,
    reset: str,
    keep_state: bool,
    count_spikes: bool = False,
) -> tuple[Tensor, ...]:
    _check_lif(z, a, b, v0)
    # no gradient flows inside an operator, so surrogate and detachment do not matter here
    unused = {"detach_reset": True, "surrogate": Triangle()}
    settings = {"leak": leak, "v_threshold": v_threshold, "reset": reset}
    return backend_module(z).affine_lif_forward(
        *_contiguous(z, a, b, v0),
        keep_state=keep_state,
        count_spikes=count_spikes,
        **settings,
        **unused,
    )


def _affine_lif_shapes(z, a, b, v0, leak, v_threshold, reset, keep_state):
    _check_lif(z, a, b, v0)
    rows = z.shape[1] if keep_state else 0
    return _like(z), a.new_empty((rows, z.shape[2]))


def _counting(*arguments: Any) -> tuple[Tensor, ...]:
    return _affine_lif(*arguments, count_spikes=True)


def _counting_shapes(z, a, *arguments):
    counts = a.new_empty(a.shape, dtype=torch.int64)
    return *_affine_lif_shapes(z, a, *arguments), counts


def _check_lif_backward(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    ds: Tensor | None,
    dv_last: Tensor | None,
) -> None:
    _check_lif(z, a, b, v0)
    check_like(z, False, ds=ds)
    check_like(z, True, dv_last=dv_last)
    check_shapes(z.shape, ds=ds)
    check_shapes(z.shape[1:], dv_last=dv_last)


def _affine_lif_backward(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    ds: Tensor | None,
    dv_last: Tensor | None,
    leak: float,
    v_threshold: float,
    reset: str,
    detach_reset: bool,
    kind: int,
    p: float,
    q: float,
    asked: str = "",
    learns: bool = False,
) -> tuple[Tensor, ...]:
    _check_lif_backward(z, a, b, v0, ds, dv_last)
    settings = {"leak": leak, "v_threshold": v_threshold, "reset": reset}
    return backend_module(z, asked).affine_lif_backward(
        *_contiguous(z, a, b, v0, ds, dv_last),
        **settings,
        detach_reset=detach_reset,
        surrogate=from_parameters(kind, p, q),
        learns=learns,
    )


def _affine_lif_backward_shapes(z, a, b, v0, ds, dv_last, *settings):
    _check_lif_backward(z, a, b, v0, ds, dv_last)
    sums = a.new_empty(a.shape)
    dv0 = a.new_empty((0, z.shape[2])) if v0 is None else _like(v0)
    return _like(z), sums, torch.empty_like(sums), dv0


def _learning(*arguments: Any) -> tuple[Tensor, ...]:
    return _affine_lif_backward(*arguments, learns=True)


def _learning_shapes(z, a, *arguments):
    return *_affine_lif_backward_shapes(z, a, *arguments), a.new_empty((2, z.shape[2]))


moments = _register("moments(Tensor z) -> (Tensor, Tensor)", _moments, _moments_shapes)
"""Mean and biased variance over elements, ``[T, C]`` each (M6)."""

moments_backward = _register(
    "moments_backward(Tensor z, Tensor dz, Tensor mean, Tensor dmean, Tensor dvar, "
    "str asked='') -> Tensor",
    _moments_backward,
    _moments_backward_shapes,
)
"""The gradient of ``z``: ``dz`` plus what comes through its mean and variance (M11)."""

affine_lif = _register(
    f"affine_lif(Tensor z, Tensor a, Tensor b, Tensor? v0, {NEURON}, bool keep_state) -> "
    f"(Tensor, Tensor)",
    _affine_lif,
    _affine_lif_shapes,
)
"""Spikes and the last membrane, which has no rows unless it is kept (M1-M3)."""

affine_lif_counting = _register(
    f"affine_lif_counting(Tensor z, Tensor a, Tensor b, Tensor? v0, {NEURON}, "
    f"bool keep_state) -> (Tensor, Tensor, Tensor)",
    _counting,
    _counting_shapes,
)
"""The same, and the number of spikes by time-step and channel, ``[T, C]`` of int64."""

BACKWARD = (
    f"(Tensor z, Tensor a, Tensor b, Tensor? v0, Tensor? ds, Tensor? dv_last, {NEURON}, "
    f"bool detach_reset, int kind, float p, float q, str asked='') -> "
)

affine_lif_backward = _register(
    f"affine_lif_backward{BACKWARD}(Tensor, Tensor, Tensor, Tensor)",
    _affine_lif_backward,
    _affine_lif_backward_shapes,
)
"""The gradients of z, a, b and v0: ``a·g``, ``Σ g·z``, ``Σ g``, ``dv0`` (M9)."""

affine_lif_backward_learning = _register(
    f"affine_lif_backward_learning{BACKWARD}(Tensor, Tensor, Tensor, Tensor, Tensor)",
    _learning,
    _learning_shapes,
)
"""The same, and the gradients of leak and threshold by channel, ``[2, C]`` (M9)."""


class _Once(Function):
    """An operator of a backward pass as a node that refuses a second differentiation."""

    @staticmethod
    def forward(operator, *arguments):
        return operator(*arguments)

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, *grads):
        raise RuntimeError(
            "The compiled kernels know first derivatives only. For derivatives of "
            'derivatives run forward and backward inside `with bntt.backend("reference"):`.'
        )


def _backward(operator: Any, *arguments: Any) -> Any:
    """Call an operator of a backward pass, as a node if gradients are to have a graph."""
    return (_Once.apply if torch.is_grad_enabled() else _call)(operator, *arguments)


def _call(operator: Any, *arguments: Any) -> Any:
    return operator(*arguments)


class Moments(Function):
    """The node of :func:`bntt.ops.moments`: ``z -> z, mean, var``."""

    @staticmethod
    def forward(z, asked):
        """Return a view of ``z`` beside its moments."""
        return z.view_as(z), *moments(z)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep ``z`` and its mean for backward."""
        z, ctx.asked = inputs
        ctx.save_for_backward(z, output[1])
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, dz, dmean, dvar):
        """Add what comes through the moments to the gradient from the neuron (M11)."""
        z, mean = ctx.saved_tensors
        if dmean is None and dvar is None:
            return dz, None
        dz = torch.zeros_like(z) if dz is None else dz
        dmean, dvar = (torch.zeros_like(mean) if d is None else d for d in (dmean, dvar))
        return _backward(moments_backward, z, dz, mean, dmean, dvar, ctx.asked), None


class AffineLIF(Function):
    """The node of :func:`bntt.ops.affine_lif`: ``z, a, b, v0 -> spikes, v``.

    It saves its arguments and no membrane, which backward computes once more (M9).
    ``leak`` and ``v_threshold`` are numbers, or tensors of one number that learn.
    """

    @staticmethod
    def forward(
        z, a, b, v0, leak, v_threshold, reset, detach_reset, kind, p, q, keep_state, asked
    ):
        """Return spikes and the last membrane."""
        leak, v_threshold = _value(leak), _value(v_threshold)
        return affine_lif(z, a, b, v0, leak, v_threshold, reset, keep_state)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep the arguments for backward."""
        z, a, b, v0, leak, v_threshold, *settings = inputs
        *settings, keep_state, asked = settings
        ctx.save_for_backward(z, a, b, v0)
        ctx.learns = isinstance(leak, Tensor), isinstance(v_threshold, Tensor)
        ctx.neuron = (_value(leak), _value(v_threshold), *settings)
        ctx.keep_state, ctx.asked = keep_state, asked
        ctx.set_materialize_grads(False)

    @staticmethod
    def backward(ctx, ds, dv):
        """Run the reverse scan (M9)."""
        z, a, b, v0 = ctx.saved_tensors
        dv = dv if ctx.keep_state else None
        arguments = (z, a, b, v0, ds, dv, *ctx.neuron, ctx.asked)
        own = None, None
        if any(ctx.learns):
            operator = affine_lif_backward_learning
            ag, sum_gz, sum_g, dv0, sums = _backward(operator, *arguments)
            dleak, dv_threshold = sums.sum(1)
            own = dleak if ctx.learns[0] else None, dv_threshold if ctx.learns[1] else None
        else:
            ag, sum_gz, sum_g, dv0 = _backward(affine_lif_backward, *arguments)
        return ag, sum_gz, sum_g, None if v0 is None else dv0, *own, *[None] * 7


class CountingLIF(AffineLIF):
    """The node of :func:`bntt.ops.affine_lif_counting`: ``... -> spikes, v, counts``."""

    @staticmethod
    def forward(
        z, a, b, v0, leak, v_threshold, reset, detach_reset, kind, p, q, keep_state, asked
    ):
        """Return spikes, the last membrane, and how many spikes there are."""
        leak, v_threshold = _value(leak), _value(v_threshold)
        return affine_lif_counting(z, a, b, v0, leak, v_threshold, reset, keep_state)

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep the arguments for backward; whole numbers have no gradient."""
        AffineLIF.setup_context(ctx, inputs, output)
        ctx.mark_non_differentiable(output[2])

    @staticmethod
    def backward(ctx, ds, dv, _):
        """Run the reverse scan (M9)."""
        return AffineLIF.backward(ctx, ds, dv)


def _value(number: float | Tensor) -> float:
    return number.item() if isinstance(number, Tensor) else number
