"""``run.json``: what a run says of itself, sitting by sitting."""

import json
import os
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Info = dict[str, Any]
"""The values of ``run.json``."""

SITTING = ("command", "device", "processes", "precision", "precision_because", "source")
"""What a sitting records beside the circumstances (`bntt.runs.provenance`)."""

CIRCUMSTANCES = (
    *("started", "commit", "python", "versions", "platform", "processor", "threads"),
    *("matmul_precision", "backend"),
    *SITTING,
)
"""Where an older run, which knew one sitting only, keeps what belongs to that sitting: at
the top of ``run.json``, among everything else."""

PASSING = (
    *("start_step", "started", "command", "process", "host", "data", "source"),
    "precision_because",
)
"""Entries of a segment that do not count as a change: they decide no weight, or
`bntt.runs.origin` compares them."""


def read(path: Path) -> Info:
    """What is in ``run.json``, its types checked; empty if there is no such file.

    Raises:
        ValueError: If the file is damaged or holds what no run writes.
    """
    if not path.exists():
        return {}
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is not JSON ({error}): it was changed or cut. Start again in another "
            f"folder."
        ) from error
    if not isinstance(info, dict):
        raise ValueError(
            f"{path} must hold one JSON object, got {_kind(info)}: it was changed. Start "
            f"again in another folder."
        )
    for name, (holds, meaning) in EXPECTED.items():
        if info.get(name) is not None and not holds(info[name]):
            raise ValueError(
                f"`{name}` in {path} must be {meaning}, got {_kind(info[name])}: the file "
                f"was changed. Start again in another folder."
            )
    return info


def segments(info: Info) -> list[Info]:
    """The sittings of a run in order; an older run knows one only."""
    only = {name: info[name] for name in CIRCUMSTANCES if name in info}
    return info.get("segments") or [{"start_step": 0, **only}]


def segment(step: int, about: Mapping[str, Any]) -> Info:
    """The entry of a sitting that begins after ``step`` steps, in this process."""
    here = {"process": os.getpid(), "host": platform.node()}
    return {"start_step": step, **here, **about}


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What changed between two sittings and may change the weights.

    Returns:
        The earlier and the present value, by name; nested names are joined by dots.
    """
    old, new = _flat(before), _flat(now)
    return {
        name: [old[name], value]
        for name, value in new.items()
        # an older run says less of itself, which is no change
        if name.split(".")[0] not in PASSING and name in old and old[name] != value
    }


def in_words(change: Mapping[str, list[Any]]) -> str:
    """One line on what :func:`changed` found."""
    parts = [f"{name} ({_shown(a)}, now {_shown(b)})" for name, (a, b) in change.items()]
    return ", ".join(parts)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Info:
    """Nested values under names with dots."""
    flat = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _shown(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _kind(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _texts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


def _counts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_count, value.values()))


def _objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


EXPECTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "status": (_text, "a word"),
    "because": (_text, "a sentence"),
    "step": (_count, "a whole number from 0"),
    "class_names": (_texts, "a list of names"),
    "images": (_counts_by_name, "numbers of samples by part"),
    "source": (_texts_by_name, "digests by name"),
    "split_sha256": (_text, "a digest"),
    "train_labels_sha256": (_text, "a digest"),
    "held_out_sha256": (_text, "a digest"),
    "recipe": (lambda value: isinstance(value, dict), "an object"),
    "segments": (_objects, "a list of objects"),
}
"""The entries of ``run.json`` that are relied on: what each may hold, and that in words."""
