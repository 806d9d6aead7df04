"""Arrays in a ``.npz`` file, read one by one and never believed more than they hold.

A header that promises more than its part of the file can unpack to is refused before
memory is asked for, and what nobody names is not unpacked.
"""

import math
import struct
import warnings
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from .folders import check_file

ENDING = ".npy"
HEADER = 1 << 14
"""Bytes at the start of an array that hold its header; NumPy itself reads no longer one."""
READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
"""What reads a header, by the version of the format. The third version differs in names of
fields beyond Latin 1, which no array here has."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""The ways of compressing that numpy.savez and numpy.savez_compressed use."""
CHUNK = 1 << 20
"""Bytes that are unpacked at a time."""
LARGE = 256 << 20
"""Bytes from which an array that hardly holds anything is no honest one."""
HARDLY = 500
"""An array hardly holds anything if it is so many times as large as what it was compressed
to. No more than 1032 is possible, for nothing but zeros."""


class Header(NamedTuple):
    """What an array says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    """Whether the first axis varies fastest."""
    length: int
    """Bytes of the header itself."""

    @property
    def nbytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpzArchive:
    """The arrays in a ``.npz`` file, by name: ``with NpzArchive(path) as archive``.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no zip archive, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        check_file(path, "a .npz file", "Name a file that numpy.savez wrote.")
        try:
            self._zip = zipfile.ZipFile(path)
        except Exception as error:  # damaged tables raise nearly anything
            raise ValueError(
                f"{path} is no whole .npz file: {_looks_like(path)}."
            ) from error
        self._members = _by_name(path, self._zip.infolist())

    @property
    def names(self) -> tuple[str, ...]:
        """Of the arrays, in the order in which they were saved."""
        return tuple(self._members)

    def header(self, name: str) -> Header:
        """Return what an array says of itself, once the file is seen to hold as much.

        Raises:
            ValueError: If it cannot be read, holds Python objects, or does not have the
                size that it says.
        """
        info = self._members[name]
        _check_sizes(self.path, info)
        found = _header(self.path, info, self._start(info))
        if found.length + found.nbytes != info.file_size:
            raise ValueError(
                f"{self.path}: {info.filename} says that it holds {found.dtype} of shape "
                f"{found.shape}, {found.nbytes} bytes, but has "
                f"{info.file_size - found.length}. Damaged or cut short? Save or copy the "
                f"file again."
            )
        return found

    def read(self, name: str) -> np.ndarray:
        """Return an array.

        Raises:
            ValueError: As `header`, or if its values are damaged.
            MemoryError: If it is an honest array that does not fit into memory.
        """
        header, info = self.header(name), self._members[name]
        values = self._values(info, header).view(header.dtype)
        try:
            if header.fortran:
                return values.reshape(header.shape[::-1]).transpose()
            return values.reshape(header.shape)
        except ValueError as error:  # too many axes, or one too long beside another of 0
            raise _unreadable(self.path, info, error) from error

    def __enter__(self) -> "NpzArchive":
        """Leave it open for the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._zip.close()

    def _start(self, info: zipfile.ZipInfo) -> bytes:
        try:
            with self._zip.open(info) as member:
                return member.read(HEADER)
        except Exception as error:  # damaged streams raise nearly anything
            raise _unreadable(self.path, info, error) from error

    def _values(self, info: zipfile.ZipInfo, header: Header) -> np.ndarray:
        try:
            values = np.empty(header.nbytes, dtype=np.uint8)
        except MemoryError as error:
            raise MemoryError(
                f"{self.path}: {info.filename} takes {header.nbytes / 1e9:.1f} GB of "
                f"memory, which is not there. Save fewer or smaller samples."
            ) from error
        try:
            with self._zip.open(info) as member:
                member.read(header.length)
                for first in range(0, len(values), CHUNK):
                    part = values[first : first + CHUNK]
                    part[:] = np.frombuffer(member.read(len(part)), dtype=np.uint8)
                if member.read(1):  # which also compares the checksum
                    raise ValueError("it goes on after its values")
        except (ValueError, OSError, EOFError, RuntimeError, *_ZIP_ERRORS) as error:
            raise _unreadable(self.path, info, error) from error
        return values


_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, struct.error)


def _by_name(path: Path, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.removesuffix(ENDING)
        if name in members:
            raise ValueError(
                f"{path} holds {info.filename} twice, and nothing says which one counts. "
                f"Save the file again."
            )
        if name != info.filename:
            members[name] = info
    return members


def _check_sizes(path: Path, info: zipfile.ZipInfo) -> None:
    """Refuse what no writer of such files leaves: another method, or hardly any content."""
    if info.compress_type not in METHODS or info.flag_bits & 1:
        raise ValueError(
            f"{path}: {info.filename} is encrypted, or compressed in a way that NumPy does "
            f"not write. Save it with numpy.savez or numpy.savez_compressed."
        )
    packed, size = info.compress_size, info.file_size
    stored = info.compress_type == zipfile.ZIP_STORED
    if packed > path.stat().st_size or (stored and packed != size):
        raise ValueError(
            f"{path}: {info.filename} says that it takes {packed} bytes of the file and "
            f"unpacks to {size}, but the file has {path.stat().st_size}. Damaged or cut "
            f"short? Save or copy it again."
        )
    if size > LARGE and size > HARDLY * packed:
        raise ValueError(
            f"{path}: {info.filename} says that its {packed} bytes unpack to {size}, "
            f"{size // max(1, packed)} times as many, as only zeros do. It was not "
            f"unpacked. If it is honest, save it with numpy.savez."
        )


def _header(path: Path, info: zipfile.ZipInfo, start: bytes) -> Header:
    stream = BytesIO(start)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in READERS:
            raise ValueError(f"its format is version {version[0]}.{version[1]}")
        with warnings.catch_warnings():
            # of the header's parser, about odd literals
            warnings.simplefilter("ignore")
            shape, fortran, dtype = READERS[version](stream)
        if dtype.itemsize == 0 and not dtype.hasobject:
            raise ValueError("its values have no bytes")
        if any(type(length) is not int or length < 0 for length in shape):
            raise ValueError(f"its shape is {shape}")
    except Exception as error:  # a header is parsed as Python, which fails in many ways
        raise _unreadable(path, info, error) from error
    if dtype.hasobject:
        raise ValueError(
            f"{path}: {info.filename} holds Python objects, which are not opened because "
            f"they can run code. Save it as an array of numbers, or of strings for "
            f"class_names."
        )
    return Header(shape, dtype, fortran, stream.tell())


def _unreadable(path: Path, info: zipfile.ZipInfo, error: Exception) -> ValueError:
    why = " ".join(str(error).split())[:200] or type(error).__name__
    return ValueError(
        f"{path}: {info.filename} cannot be read ({why}). Damaged or cut short? Save or "
        f"copy the file again."
    )


def _looks_like(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(6)
    size = f"{path.stat().st_size} bytes"
    if start == b"\x93NUMPY":
        return "it is a .npy file with one array. Put all arrays into one numpy.savez"
    if start[:2] == b"PK":
        return f"the table at the end of its {size} is missing. Cut short? Copy it again"
    return f"its {size} are no zip archive. Write it with numpy.savez"
