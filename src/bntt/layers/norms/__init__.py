"""Temporal norms: rules from per-step moments to a per-step scale and shift (M5, M8).

The heavy work on ``[T, N, C, *S]`` is the same for all of them and lives in ``ops``. A norm
says over which time-steps the moments are pooled, and turns ``[T, C]`` numbers into
``a, b`` so that the neuron's input is ``a·z + b``.
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
    """The norm called ``name`` in recipes: ``"bntt"``, ``"shared"`` or ``"none"``.

    ``eps`` and ``momentum`` are the norm's own if omitted.

    Raises:
        ValueError: If there is no such norm, or a window or the like is given to one that
            has none.
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
