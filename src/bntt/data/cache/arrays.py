"""The files of a cache: arrays, their checksums and dates, and their description."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...machine.files import replacing
from .plan import Plan

META = "meta.json"
"""Name of the file that describes a cache."""
CHECK = "check"
"""The entry of that file which holds the checksum of all other entries."""


def open_rows(
    path: Path, shape: tuple[int, ...], dtype: str, mode: Literal["r", "c"]
) -> np.ndarray:
    """Memory-map an array, whose header and size must be as expected.

    Args:
        path: Of its ``.npy`` file.
        shape: That it must have.
        dtype: That it must have.
        mode: As of `numpy.memmap`: ``"r"``, or ``"c"`` for writes that stay in memory.

    Raises:
        ValueError: If they are not.
    """
    array = _mapped(path, mode)
    nbytes = path.stat().st_size - array.offset
    if (array.shape, array.dtype, array.nbytes) != (shape, np.dtype(dtype), nbytes):
        raise ValueError(
            f"{path.name} holds {array.dtype} {array.shape} in {nbytes} bytes, expected "
            f"{np.dtype(dtype)} {shape}"
        )
    return array


def rows_sha256(path: Path, first: int, last: int) -> str:
    """Return the SHA-256 of some rows of an array on disk."""
    return sha256_of(_mapped(path, "r")[first:last])


def dates(folder: Path, plan: Plan) -> dict[str, list[int]]:
    """Return the size of each array's file and when it was last written, in nanoseconds."""
    states = {name: file_of(folder, name).stat() for name in plan.arrays}
    return {name: [state.st_size, state.st_mtime_ns] for name, state in states.items()}


def json_sha256(content: dict[str, Any]) -> str:
    """Return the SHA-256 of what JSON can hold, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Write a cache's description, with a checksum of its own; never half of it."""
    with replacing(folder / META) as new:
        new.write_text(json.dumps(meta | {CHECK: json_sha256(meta)}), encoding="utf-8")


def read_meta(folder: Path) -> dict[str, Any]:
    """Return what `write_meta` wrote.

    Raises:
        ValueError: If it has changed since.
        Exception: If it is nothing of the kind.
    """
    meta = json.loads((folder / META).read_text(encoding="utf-8"))
    if meta.pop(CHECK) != json_sha256(meta):
        raise ValueError("it has changed")
    return meta


def _mapped(path: Path, mode: Literal["r", "c"]) -> np.memmap:
    try:
        return np.lib.format.open_memmap(path, mode=mode)
    except OSError:
        raise
    except Exception as error:  # of a damaged header, NumPy's parser raises anything
        raise ValueError(f"{path.name} is no whole array: {error}") from error


def write_rows(path: Path, first: int, rows: np.ndarray) -> None:
    """Write rows of an array on disk, from the row `first` on."""
    offset = np.lib.format.open_memmap(path, mode="r").offset
    with path.open("r+b") as file:
        file.seek(offset + first * (rows.nbytes // len(rows)))
        file.write(_bytes(rows))


def file_of(folder: Path, name: str) -> Path:
    """Return the path of an array's file."""
    return folder / f"{name}.npy"


def sha256_of(rows: np.ndarray) -> str:
    """Return the SHA-256 of the bytes of some rows."""
    return hashlib.sha256(_bytes(rows)).hexdigest()


def _bytes(rows: np.ndarray) -> memoryview:
    return rows.reshape(-1).view(np.uint8).data
