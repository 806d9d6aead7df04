"""The header of a checkpoint: JSON, of which every value is checked when it is read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .config import FORMAT_1_KEYS, NetworkConfig

FORMAT = 2
"""The number of the format; a new one is due when older programs would misread a file."""

LONGEST = 1 << 22
"""The most bytes of a header, which is room for a hundred thousand class names."""


def written(config: NetworkConfig, info: Mapping[str, Any]) -> str:
    """The text of the header for a network and the extra values beside it.

    Raises:
        ValueError: If a surrogate is not of this package, ``info`` is none of JSON's, or
            the text grows too long.
    """
    header = {"format": FORMAT, "config": config.to_config(), "info": dict(info)}
    try:
        text = json.dumps(header, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"What is to be saved beside the weights: {error}.") from error
    if len(text) > LONGEST:
        raise ValueError(
            f"The description of this network takes {len(text)} bytes, and a checkpoint "
            f"holds {LONGEST}. Shorten the class names."
        )
    return text


def parsed(text: str, path: Path) -> tuple[NetworkConfig, dict[str, Any]]:
    """The description and the extra values that a header holds.

    Args:
        text: JSON.
        path: The file, for messages.

    Raises:
        ValueError: If the text is too long or no JSON, a key is missing or unknown, or a
            value has another type or lies outside its range; naming file and key.
    """
    try:
        header = _json(text)
        _check_keys(header)
        keys = FORMAT_1_KEYS if header["format"] == 1 else None
        return NetworkConfig.from_config(header["config"], keys), header["info"]
    except NewerError as error:
        raise ValueError(f"{path} {error}") from error
    except RecursionError as error:
        raise ValueError(_refusal(path, "it is nested too deeply")) from error
    except (TypeError, ValueError) as error:
        raise ValueError(_refusal(path, error)) from error


class NewerError(ValueError):
    """The file is whole, but this version of the package is too old to read it."""


def _json(text: str) -> Any:
    if len(text) > LONGEST:
        raise ValueError(
            f"it has {len(text)} bytes, more than the {LONGEST} of any network"
        )
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} occurs twice")
    return values


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON's")


def _check_keys(header: Any) -> None:
    if not isinstance(header, dict):
        raise TypeError("it is no object")
    version = header.get("format")
    if type(version) is not int or version < 1:
        raise ValueError("`format` must be a whole number from 1")
    if version > FORMAT:
        raise NewerError(
            f"was written by a newer bntt (format {version}, this one reads up to "
            f"{FORMAT}). Take a newer clone of bntt."
        )
    if odd := sorted({"format", "config", "info"} ^ set(header)):
        raise ValueError(f"its keys must be format, config and info; look at {odd[0]!r}")
    if not isinstance(header["info"], dict):
        raise TypeError("`info` must be an object")


def _refusal(path: Path, why: object) -> str:
    shown = str(why)
    shown = f"{shown[:300]}..." if len(shown) > 300 else shown
    return (
        f"{path} has a damaged or doctored header: {shown.removesuffix('.')}. Take another "
        f"checkpoint."
    )
