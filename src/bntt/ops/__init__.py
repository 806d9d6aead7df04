"""The operators: one signature, several providers, and which of them runs.

``moments`` and ``affine_lif`` are what norms and neurons are made of. Each is one autograd
node over registered operators, so ``torch.compile(fullgraph=True)`` sees through them; with
``backend("reference")`` they are plain PyTorch and autograd differentiates them itself.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from ..surrogate import Surrogate, Triangle
from . import reference
from .registered import AffineLIF, Moments
from .select import backend, backend_report, provider_name

__all__ = ["affine_lif", "backend", "backend_report", "moments"]

RESETS = ("soft", "hard", "none")


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
        ``(z, mean, var)``. Read the ``z`` that comes back: in backward its gradient meets
        that of the statistics in one pass. ``var`` is biased, as it normalises. Both are
        float32, or float64 where ``z`` is.

    Raises:
        ValueError: If there is no element to average.
        RuntimeError: If the chosen backend cannot run on the tensor.
    """
    if z.shape[1] == 0:
        raise ValueError(
            f"Batch statistics need at least one element, but the current has shape "
            f"{tuple(z.shape)}, read as (T, M, C). Drop empty batches, or call .eval()."
        )
    if _differentiated_by_autograd(z):
        return z, *reference.moments(z)
    return Moments.apply(z.contiguous())  # pyright: ignore[reportReturnType]


def affine_lif(
    z: Float[Tensor, "T M C"],
    a: Float[Tensor, "T C"],
    b: Float[Tensor, "T C"],
    v0: Float[Tensor, "M C"] | None = None,
    *,
    leak: float,
    v_threshold: float = 1.0,
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
    silent. ``reset="hard"`` sets ``v`` to 0 instead, ``"none"`` leaves it.

    Args:
        z: Currents; ``M`` is batch times space.
        a: Scale per time-step and channel, in the type of the membrane.
        b: Shift per time-step and channel, same type.
        v0: Membrane potential before the first time-step; 0 if omitted.
        leak: Fraction of ``v`` kept per time-step, in ``[0, 1]``.
        v_threshold: Firing threshold, positive, in units of ``v``.
        reset: ``"soft"``, ``"hard"`` or ``"none"``.
        detach_reset: Whether backward ignores that a spike resets.
        surrogate: What backward uses in place of the step's derivative.
        keep_state: Whether the last ``v`` is wanted.

    Returns:
        ``(spikes, v)``: spikes in the type of ``z``, and the membrane after the last
        reset, float32 (float64 where ``z`` is), or None if not kept.

    Raises:
        ValueError: If a value is out of range or a shape does not fit.
        RuntimeError: If the chosen backend cannot run on the tensor.
    """
    check_neuron(leak, v_threshold, reset)
    _check_shapes(z, a, b, v0)
    wide = reference.accumulator(z.dtype)
    a, b, v0 = a.to(wide), b.to(wide), None if v0 is None else v0.to(wide)
    if _differentiated_by_autograd(z):
        settings = {"detach_reset": detach_reset, "surrogate": surrogate}
        spikes, v = reference.affine_lif_forward(
            z, a, b, v0, leak=leak, v_threshold=v_threshold, reset=reset, **settings
        )
        return spikes, v if keep_state else None
    v0 = None if v0 is None else v0.contiguous()
    spikes, v = AffineLIF.apply(
        *(z.contiguous(), a.contiguous(), b.contiguous(), v0, leak, v_threshold, reset),
        *(detach_reset, surrogate, keep_state),
    )  # pyright: ignore[reportGeneralTypeIssues]
    return spikes, v if keep_state else None


def _differentiated_by_autograd(z: Tensor) -> bool:
    """Whether the reference runs; a compiled graph always holds registered operators."""
    return not torch.compiler.is_compiling() and provider_name(z) == "reference"


def check_neuron(leak: float, v_threshold: float, reset: str) -> None:
    """Refuse values that no neuron has.

    Raises:
        ValueError: If ``leak``, ``v_threshold`` or ``reset`` is out of range.
    """
    if not 0 <= leak <= 1:
        raise ValueError(
            f"`leak` must lie in [0, 1], got {leak}. It is the fraction of membrane "
            f"potential kept per time-step; a time constant tau converts to 1 - 1/tau."
        )
    if not v_threshold > 0:
        raise ValueError(f"`v_threshold` must be positive, got {v_threshold}.")
    if reset not in RESETS:
        raise ValueError(f"Unknown `reset` {reset!r}. Known: {', '.join(RESETS)}.")


def _check_shapes(z: Tensor, a: Tensor, b: Tensor, v0: Tensor | None) -> None:
    T, M, C = z.shape
    if T == 0:
        raise ValueError(
            f"A neuron needs at least one time-step, but the current has shape "
            f"{tuple(z.shape)}, read as (T, M, C) with T=0."
        )
    for name, value in (("a", a), ("b", b)):
        if value.shape != (T, C):
            raise ValueError(
                f"`{name}` must hold one number per time-step and channel, "
                f"{(T, C)}, got {tuple(value.shape)}."
            )
    if v0 is not None and v0.shape != (M, C):
        raise ValueError(
            f"`v0` must have the shape of one time-step, {(M, C)}, got {tuple(v0.shape)}."
        )
