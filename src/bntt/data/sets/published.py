"""Archives and pickles that are opened only if their bytes are the published ones."""

import hashlib
import pickle
import tarfile
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np


def unpack(path: Path, data: bytes, md5: str) -> dict[str, bytes]:
    """Return an archive's files by name. It stays in memory: no path in it is followed.

    Raises:
        ValueError: If `data` does not have the published checksum.
    """
    _match(path, data, md5, "It is an archive")
    with tarfile.open(fileobj=BytesIO(data), mode="r:gz") as tar:
        return {
            PurePosixPath(member.name).name: stream.read()
            for member in tar
            if (stream := tar.extractfile(member)) is not None
        }


def unpickle(path: Path, data: bytes, md5: str) -> dict[bytes, Any]:
    """Return the dictionary in a Python 2 pickle of bytes, numbers and byte arrays.

    Raises:
        ValueError: If `data` does not have the published checksum, is damaged, or asks for
            anything but an array.
    """
    _match(path, data, md5, "It is a pickle")
    try:
        return _Unpickler(BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a broken pickle raises nearly anything
        raise ValueError(f"{path} cannot be unpickled: {error}.") from error


def _match(path: Path, data: bytes, md5: str, kind: str) -> None:
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(
            f"{path} is not the published file: its MD5 is {found} ({len(data)} bytes), "
            f"the published one is {md5}. {kind} and was not opened. Truncated or damaged? "
            f"Fetch it again."
        )


def _dtype(name: bytes | str, align: int, copy: int) -> np.dtype:
    if name != b"u1":
        raise pickle.UnpicklingError(f"it holds an array of {name!r}, expected bytes")
    # as booleans: NumPy 2.4.0 to 2.4.4 warn of the align=0 that is in the files
    return np.dtype("u1", align=bool(align), copy=bool(copy))


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which is no image data"
            )
        return _ALLOWED[module, name]
