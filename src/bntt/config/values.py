"""Which values the single keys of a recipe may hold: their types and their ranges."""

import re
import sys
from typing import Any, Literal, get_args

from ..choices import one_of, said

_COUNT = (lambda value: value >= 1, "be at least 1")
_POSITIVE = (lambda value: value > 0, "be positive")
_NOT_NEGATIVE = (lambda value: value >= 0, "not be negative")
# the split and every generator take 32 bits
_SEED = (lambda value: 0 <= value < 2**32, "lie in [0, 2**32)")
_SHARE = (lambda value: 0 <= value < 1, "lie in [0, 1)")

Stages = int | tuple[int, ...]
"""One whole number, or one for each of several stages of training, written as a list."""

GainDecay = float | Literal["weight_decay"]
"""A weight decay of its own, or the word for that of all other parameters."""

LONGEST_SIDE = 8192
"""The longest side of a sensor, in pixels."""


def sensor_sides(text: str) -> tuple[int, int]:
    """Return the columns and rows of a sensor that is written ``"240x180"``.

    Args:
        text: Empty for a sensor that is not named, which has (0, 0).

    Raises:
        ValueError: If it is written in another way, or no sensor has so many.
    """
    found = re.fullmatch(r"([1-9][0-9]{0,3})x([1-9][0-9]{0,3})", text)
    sides = (int(found[1]), int(found[2])) if found else (0, 0)
    if (text and not found) or max(sides) > LONGEST_SIDE:
        raise ValueError(
            f"`sensor` must be the width and height of a sensor in pixels, up to "
            f"{LONGEST_SIDE}, such as '240x180', or empty, got {said(text)}."
        )
    return sides


def each(stages: Stages) -> tuple[int, ...]:
    """The number of each stage; of a single number, that one."""
    return stages if isinstance(stages, tuple) else (stages,)


_NONE_NEGATIVE = (lambda value: min(each(value)) >= 0, "not be negative")

RANGES: dict[str, tuple[Any, str]] = {
    "num_steps": _COUNT,
    "window": _COUNT,
    "permutation": _SEED,
    "split_seed": _SEED,
    "image_size": _NOT_NEGATIVE,
    "white": (
        lambda value: value == 0 or 255 <= value < 2**16,
        "be 0 or, as the value that means white in pictures of more than 8 bits, lie in "
        "[255, 65535]",
    ),
    "window_ms": _NOT_NEGATIVE,
    "leak": (
        lambda value: 0 <= value <= 1,
        "lie in [0, 1] (the fraction of membrane potential kept per time-step; a time "
        "constant tau converts to 1 - 1/tau)",
    ),
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "lr": _POSITIVE,
    "v_threshold": _POSITIVE,
    "surrogate_height": _POSITIVE,
    "momentum": _SHARE,
    "weight_decay": _NOT_NEGATIVE,
    "gain_decay": (
        lambda value: value == "weight_decay" or value >= 0,
        "not be negative",
    ),
    "warmup": (lambda value: 0 < value < 1, "lie in (0, 1)"),
    "step_growth": _POSITIVE,
    "activity_penalty": _NOT_NEGATIVE,
    "target_rate": _SHARE,
    "early_steps": _NONE_NEGATIVE,
    "early_epochs": _NONE_NEGATIVE,
    "label_smoothing": _SHARE,
    "cutout": _NOT_NEGATIVE,
    "validation": _NOT_NEGATIVE,
    "fold": (lambda value: 0 <= value <= 4, "be one of the five folds 0 to 4"),
    "seed": _SEED,
}


def checked(name: str, kind: Any, value: Any) -> Any:
    """Return `value` as the field's type holds it, or say what the field takes."""
    if kind == Stages:
        return _stages(name, value)
    if kind == GainDecay:
        return _gain_decay(name, value)
    if choices := get_args(kind):
        if not isinstance(value, str):
            raise ValueError(
                f"`{name}` must be one of {', '.join(choices)}, got {said(value)}."
            )
        one_of(name, value, choices)
        return value
    if kind is str:
        if not isinstance(value, str):
            raise ValueError(f"`{name}` must be text in quotes, got {said(value)}.")
        return value
    accepted = (int, float) if kind is float else int
    if isinstance(value, bool) or not isinstance(value, accepted):
        example = "0.3 or 1e-4" if kind is float else "25"
        noun = "a number" if kind is float else "a whole number"
        raise ValueError(f"`{name}` must be {noun} such as {example}, got {said(value)}.")
    if kind is float and not abs(value) <= sys.float_info.max:  # nan compares false
        raise ValueError(f"`{name}` must be finite, got {said(value)}.")
    if kind is int and abs(value) > 2**32:
        raise ValueError(f"`{name}` must lie below 2**32, got {said(value)}.")
    return kind(value)


def _stages(name: str, value: Any) -> Stages:
    """A whole number, or several as a tuple; a list of one is that one."""
    if not isinstance(value, (list, tuple)):
        return checked(name, int, value)
    if not value:
        raise ValueError(
            f"`{name}` must be a whole number such as 4, or a list of them such as "
            f"[1, 4, 10], got {said(value)}."
        )
    first, *rest = (checked(name, int, entry) for entry in value)
    return (first, *rest) if rest else first


def _gain_decay(name: str, value: Any) -> GainDecay:
    if value == "weight_decay":
        return "weight_decay"
    if isinstance(value, str):
        raise ValueError(
            f"`{name}` must be a number such as 5e-4, or 'weight_decay' for that of all "
            f"other parameters, got {said(value)}."
        )
    return checked(name, float, value)
