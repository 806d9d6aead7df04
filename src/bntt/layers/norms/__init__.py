"""Temporal norms: rules from per-step moments to a per-step scale and shift (M5, M8).

The work on tensors ``[T, N, C, *S]`` is the same for all of them and is done in ``ops``. A
norm decides over which time-steps moments are pooled, and turns these ``[T, C]`` numbers
into ``a`` and ``b``, so that the neuron's input is ``a·z + b``.
"""

from collections.abc import Callable

from ...choices import one_of
from .baselines import NoNorm, SharedBN
from .bntt import BNTT
from .temporal import TemporalNorm

__all__ = [
    "BNTT",
    "NoNorm",
    "SharedBN",
    "TemporalNorm",
    "make_norm",
]

NORMS: dict[str, Callable[..., TemporalNorm]] = {
    "bntt": BNTT,
    "shared": SharedBN,
    "none": NoNorm,
}


def make_norm(
    name: str,
    num_features: int,
    num_steps: int,
    window: int = 1,
    *,
    eps: float | None = None,
    momentum: float | None = None,
) -> TemporalNorm:
    """A new norm by the name that recipes give it.

    Args:
        name: ``"bntt"``, ``"shared"`` or ``"none"``.
        num_features: Channels ``C``.
        num_steps: ``T``, the length of every training sequence.
        window: Time-steps that share their statistics, of ``"bntt"`` only.
        eps: Added to the variance; the norm's own default if omitted.
        momentum: Weight of the newest batch in the running statistics; likewise.

    Raises:
        ValueError: If there is no such norm, or it has no window, ``eps`` or ``momentum``
            and one is given.
    """
    one_of("norm", name, NORMS)
    given = {"eps": eps, "momentum": momentum}
    given = {key: value for key, value in given.items() if value is not None}
    if name == "bntt":
        return BNTT(num_features, num_steps, window=window, **given)
    if window != 1:
        raise ValueError(
            f"`window` groups the time-steps of norm='bntt'; norm={name!r} has no "
            f"statistics per time-step. Leave it at 1, got {window}."
        )
    if name == "none" and given:
        raise ValueError(
            f"norm='none' has no statistics, so no {' and no '.join(given)}. Leave it out."
        )
    return NORMS[name](num_features, num_steps, **given)
