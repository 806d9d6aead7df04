"""The operators: one signature, several backends, and which of them runs.

``moments`` and ``affine_lif`` are what norms and neurons are made of. Each is one autograd
node over registered operators, so ``torch.compile(fullgraph=True)`` sees through them; with
``backend("reference")`` they are plain PyTorch and autograd differentiates them itself. The
README beside this file explains how they work together.
"""

import logging
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from . import reference
from .arguments import yes_or_no
from .autograd import AffineLIF, CountingLIF, Moments
from .backends import backend, backend_name, backend_report
from .checks import check_moments, check_neuron, check_scan, readable
from .surrogate import Surrogate, Triangle, check_surrogate, is_built_in

__all__ = [
    "affine_lif",
    "affine_lif_counting",
    "backend",
    "backend_report",
    "check_neuron",
    "from_elements",
    "moments",
    "to_elements",
]


def to_elements(x: Float[Tensor, "T N C *S"]) -> Float[Tensor, "T M C"]:
    """A sequence as ``[T, M, C]``, where ``M`` is batch times space.

    It is a view where the channel is fastest in memory (channels_last), else a copy.
    """
    return x.movedim(2, -1).flatten(1, -2)


def from_elements(
    y: Float[Tensor, "T M C"], shape: torch.Size
) -> Float[Tensor, "T N C *S"]:
    """A view of ``y`` in the ``shape`` that :func:`to_elements` was given."""
    T, N, C, *space = shape
    return y.reshape(T, N, *space, C).movedim(-1, 2)


def moments(
    z: Float[Tensor, "T M C"],
) -> tuple[Float[Tensor, "T M C"], Float[Tensor, "T C"], Float[Tensor, "T C"]]:
    r"""Mean and variance over elements, for every time-step and channel (M6).

    .. math::
        \mu^t_c = \frac{1}{M} \sum_m z^t_{mc}, \qquad
        (\sigma^t_c)^2 = \frac{1}{M} \sum_m (z^t_{mc} - \mu^t_c)^2

    Args:
        z: Currents; ``M`` is batch times space.

    Returns:
        ``(z, mean, var)``. Use the returned ``z``: its gradient also carries that of the
        statistics, in one pass. ``var`` is biased, as batch norm uses it. The statistics
        are float32, or float64 where ``z`` is.

    Raises:
        ValueError: If there is no element to average.
        RuntimeError: If the chosen backend cannot run on the tensor.
    """
    check_moments(z)
    if (chosen := _chosen(z)) == "reference":  # which autograd differentiates itself
        return z, *reference.moments(z)
    return Moments.apply(z, chosen)  # pyright: ignore[reportReturnType]


def affine_lif(
    z: Float[Tensor, "T M C"],
    a: Float[Tensor, "T C"],
    b: Float[Tensor, "T C"],
    v0: Float[Tensor, "M C"] | None = None,
    *,
    leak: float | Tensor,
    v_threshold: float | Tensor = 1.0,
    reset: str = "soft",
    detach_reset: bool = True,
    surrogate: Surrogate = Triangle(),
    keep_state: bool = True,
) -> tuple[Float[Tensor, "T M C"], Float[Tensor, "M C"] | None]:
    r"""Scale and shift currents, then run leaky integrate-and-fire neurons over them.

    .. math::
        u^t = \lambda v^{t-1} + a^t z^t + b^t, \qquad
        s^t = [u^t > v_{th}], \qquad
        v^t = u^t - v_{th} s^t

    (M1-M3; Kim & Panda 2021.) The comparison is strict: a neuron exactly at threshold stays
    silent. ``reset="hard"`` sets ``v`` to 0 instead, ``"none"`` leaves it as it is.

    Args:
        z: Currents; ``M`` is batch times space.
        a: Scale per time-step and channel, converted to the type of the membrane.
        b: Shift per time-step and channel, likewise.
        v0: Membrane potential before the first time-step; 0 if omitted.
        leak: Fraction of ``v`` kept per time-step, in ``[0, 1]``; a tensor of shape ``()``
            learns (M9).
        v_threshold: Firing threshold, positive, in units of ``v``; it learns likewise.
        reset: ``"soft"``, ``"hard"`` or ``"none"``.
        detach_reset: Whether backward ignores that a spike resets.
        surrogate: What backward uses in place of the step's derivative. One of your own
            runs on the reference, whatever the backend.
        keep_state: Whether to return the last ``v``.

    Returns:
        ``(spikes, v)``: spikes in the type of ``z``, and the membrane after the last
        reset, float32 (float64 where ``z`` is), or None if not kept.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If a value is out of range or a shape does not fit.
        RuntimeError: If the chosen backend cannot run on the tensor.
    """
    settings = {"leak": leak, "v_threshold": v_threshold, "reset": reset}
    spikes, v = _scan(
        *(z, a, b, v0, detach_reset, surrogate, keep_state, False), **settings
    )
    return spikes, v if keep_state else None


def affine_lif_counting(
    z: Float[Tensor, "T M C"],
    a: Float[Tensor, "T C"],
    b: Float[Tensor, "T C"],
    v0: Float[Tensor, "M C"] | None,
    *,
    leak: float | Tensor,
    v_threshold: float | Tensor,
    reset: str,
    detach_reset: bool,
    surrogate: Surrogate,
    keep_state: bool,
) -> tuple[Float[Tensor, "T M C"], Float[Tensor, "M C"] | None, Int64[Tensor, "T C"]]:
    """What :func:`affine_lif` returns, and the number of spikes per time-step and channel.

    They are counted while they are in cache, or in registers: nobody reads the spikes a
    second time. Arguments and errors are those of :func:`affine_lif`.

    Returns:
        ``(spikes, v, counts)``; counts are whole numbers, 0 to ``M``, and have no gradient.
    """
    settings = {"leak": leak, "v_threshold": v_threshold, "reset": reset}
    spikes, v, counts = _scan(
        *(z, a, b, v0, detach_reset, surrogate, keep_state, True), **settings
    )
    return spikes, v if keep_state else None, counts


def _scan(
    z: Tensor,
    a: Tensor,
    b: Tensor,
    v0: Tensor | None,
    detach_reset: bool,
    surrogate: Surrogate,
    keep_state: bool,
    count_spikes: bool,
    *,
    leak: float | Tensor,
    v_threshold: float | Tensor,
    reset: str,
) -> tuple[Tensor, ...]:
    """Check the arguments and run them where they are to run."""
    check_neuron(leak, v_threshold, reset)
    check_surrogate(surrogate)
    yes_or_no("detach_reset", detach_reset)
    check_scan(z, a, b, v0)
    wide = reference.accumulator(z.dtype)
    a, b, v0 = a.to(wide), b.to(wide), None if v0 is None else v0.to(wide)
    chosen = _chosen(z)
    if chosen == "reference" or _needs_plain_torch(surrogate, leak, v_threshold):
        settings = {"detach_reset": detach_reset, "surrogate": surrogate}
        return reference.affine_lif_forward(
            *(z, a, b, v0),
            **{"leak": leak, "v_threshold": v_threshold, "reset": reset, **settings},
            count_spikes=count_spikes,
        )
    return (CountingLIF if count_spikes else AffineLIF).apply(
        *(z, a, b, v0, _learned(leak), _learned(v_threshold), reset, detach_reset),
        *(surrogate.kind, *surrogate.parameters, keep_state, chosen),
    )  # pyright: ignore[reportReturnType]


def _chosen(z: Tensor) -> str:
    """The name of the backend for this call and for its backward pass.

    It is empty while ``torch.compile`` traces: the graph always holds registered operators
    and outlives the ``with`` block that it was made in, so each call of it chooses anew.
    """
    return "" if torch.compiler.is_compiling() else backend_name(z)


def _needs_plain_torch(surrogate: Surrogate, *neuron: float | Tensor) -> bool:
    """Whether the registered operators cannot be told what to compute.

    They receive a surrogate as a number, which one of the user's own does not have, and
    leak and threshold as values, which a tensor does not have while a graph is traced.
    Then the reference runs.
    """
    if not is_built_in(surrogate):
        if not torch.compiler.is_compiling():
            _say_slow(type(surrogate).__qualname__)
        return True
    return any(isinstance(x, Tensor) and readable("a neuron's", x) is None for x in neuron)


@cache
def _say_slow(name: str) -> None:
    logging.getLogger("bntt").warning(
        "bntt: the kernels do not know the surrogate %s, so neurons that have it run on "
        "the reference path, several times slower",
        name,
    )


def _learned(value: float | Tensor) -> float | Tensor:
    """The tensor itself if it is to receive a gradient, else its number."""
    learns = isinstance(value, Tensor) and value.requires_grad and torch.is_grad_enabled()
    return value if learns or not isinstance(value, Tensor) else value.item()
