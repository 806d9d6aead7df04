"""State dicts from pickled checkpoints, read without running any code that they name."""

import codecs
import io
import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

RECONSTRUCT_SCALAR, _ = np.float64(0).__reduce__()
NUMPY_SCALAR = [
    # numpy 2 renamed the module; files of either age name it
    (RECONSTRUCT_SCALAR, "numpy.core.multiarray.scalar"),
    (RECONSTRUCT_SCALAR, "numpy._core.multiarray.scalar"),
    (np.dtype, "numpy.dtype"),
    (type(np.dtype(np.float64)), "numpy.dtypes.Float64DType"),
    (codecs.encode, "_codecs.encode"),  # pickle's way to write bytes in protocol 2
]
"""All that a checkpoint may name beyond tensors: ``'accuracy': np.mean(...)`` needs it."""

LEGACY_PICKLES = 5
"""Pickles in a file of ``torch.save`` that is no archive: a number, a version, the system,
the content, and the names of the storages that follow."""


def state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors by name that ``torch.save`` wrote, alone or under ``"state_dict"``.

    ``module.`` in front of a name is dropped, and so are the counts of batches that batch
    norms keep, because nothing depends on them with a constant momentum.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is unreadable, names anything but weights, or holds no state
            dict.
    """
    content = _unpickle(path)
    found = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ValueError(
            f"{path} holds a value of type {type(found).__name__}, not a state dict of "
            f"tensors by name. Expected what torch.save({{'state_dict': "
            f"net.state_dict(), ...}}) writes."
        )
    for name, value in found.items():
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{path} holds a value of type {type(value).__name__} under {name!r}, "
                f"where a state dict has only tensors. Save net.state_dict(), alone or "
                f"under 'state_dict'."
            )
        if not _dense(value):
            raise ValueError(
                f"{path}: {name!r} is no dense tensor of numbers in memory ({value.dtype}, "
                f"{value.layout}, on {value.device}), as weights are. Save "
                f"net.state_dict() of a network on the CPU."
            )
    _check_sizes(found, path)
    kept = (name for name in found if not name.endswith(".num_batches_tracked"))
    return {name.removeprefix("module."): found[name] for name in kept}


def _unpickle(path: Path) -> Any:
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"{path} {what}. Name the .pth.tar file of the authors' code."
        )
    archive = _is_archive(path)
    try:
        for pickled in _archived(path) if archive else _in_a_row(path):
            _refuse_growth(pickled)
        with torch.serialization.safe_globals(NUMPY_SCALAR):
            # mapped, so that no tensor reaches beyond what the file holds
            return torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except _Refused as error:
        raise ValueError(f"{path} {error}") from error
    except Exception as error:  # a damaged file can fail at any of its bytes
        named = re.search(r"(?:GLOBAL|but got|function) (<.+?>|\S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and named:
            raise ValueError(
                f"{path} asks for {named[1]}, which weights do not need, so it was refused "
                f"and not run. If you trust the file, save its state_dict alone elsewhere."
            ) from error
        raise ValueError(
            f"{path} cannot be read as a file of torch.save ({type(error).__name__}): it "
            f"is cut short, damaged or of another kind. Fetch it again, compare its size."
        ) from error


class _Refused(Exception):
    """The file is whole, but asks for something that no checkpoint needs."""


def _is_archive(path: Path) -> bool:
    """Whether torch will read the file as an archive, as its first bytes decide."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _archived(path: Path) -> Iterator[io.BytesIO | io.BufferedReader]:
    """The pickle in an archive, after a check that no member is packed."""
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        packed = [member for member in members if member.compress_type]
        size = sum(member.file_size for member in members)
        if packed or size > path.stat().st_size:
            raise _Refused(
                f"unpacks to {size} bytes from {path.stat().st_size}, and torch.save does "
                f"not pack. It was made to exhaust memory, or packed by another program: "
                f"save it anew with torch.save."
            )
        for member in members:
            if member.filename.endswith("data.pkl"):
                yield io.BytesIO(archive.read(member))


def _in_a_row(path: Path) -> Iterator[io.BytesIO | io.BufferedReader]:
    with path.open("rb") as file:
        for _ in range(LEGACY_PICKLES):
            yield file


def _refuse_growth(pickled: io.BytesIO | io.BufferedReader) -> None:
    """Refuse the two ways in which a small pickle of allowed names can exhaust memory.

    It can ask for any number of bytes, and can code a text as a longer one over and over.
    """
    words, globals_ = set(), set()
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL":
            globals_.add(argument)
        elif isinstance(argument, str) and len(argument) < 40:
            words.add(argument)
    if any(name.endswith("bytearray") for name in globals_):
        raise _Refused("asks for bytearray, which weights do not need. It was not run.")
    if "_codecs encode" in globals_:
        odd = [word for word in words if _codec(word) not in (None, "iso8859-1")]
        if odd:
            raise _Refused(
                f"asks for the coding {odd[0]!r}, which weights do not need. It was not "
                f"run."
            )


def _codec(word: str) -> str | None:
    try:
        return codecs.lookup(word).name
    except (LookupError, ValueError):  # ValueError: a NUL in the name
        return None


def _dense(value: Tensor) -> bool:
    return (
        value.layout is torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.is_nested or value.is_complex())
    )


def _check_sizes(tensors: dict[str, Tensor], path: Path) -> None:
    """Refuse tensors that are larger than the file, as repeated ones are."""
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    if size > path.stat().st_size:
        raise ValueError(
            f"{path} has {path.stat().st_size} bytes, but tensors of {size}: they repeat "
            f"the same numbers, or were cut. Save net.state_dict() anew."
        )
