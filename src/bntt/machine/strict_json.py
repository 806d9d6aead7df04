"""JSON that every reader takes: without the ``NaN`` and ``Infinity`` that Python writes."""

import json
import math
from collections.abc import Mapping
from typing import Any


def dumps(values: Any, indent: int | None = None) -> str:
    """Plain values as JSON; a number that is not finite becomes ``null``.

    Args:
        values: Dictionaries, lists, tuples and what JSON has of its own.
        indent: Spaces per level; None for one line.
    """
    return json.dumps(_finite(values), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
