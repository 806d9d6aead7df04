"""Whether files are what they were.

A file is known again, without being read, by its name, its size, the time of its last
change and where it really lies: that finds a cache. What was in it is known by the SHA-256
of its bytes, taken as they were read: that tells what the cache was made of.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from ..config.text import decoded
from .folders import read_bounded
from .tree import Stamp

SHA256 = 32
"""Number of bytes of a digest."""
LARGEST = 1 << 30
"""Bytes of the largest file that is read whole: more than the largest image that Pillow
opens takes uncompressed."""
LONGEST_TEXT = 1 << 26
"""Bytes of the longest list of names or labels that is read; the longest that is published
has 3 million."""
status_of = os.stat
"""What is asked for the status of a path, or of a file that is open."""


def fingerprint(files: Mapping[str, Stamp]) -> str:
    """Return the SHA-256 of a list of files and their stamps, whatever their order."""
    lines = ("\0".join((name, *map(str, stamp))) for name, stamp in files.items())
    return _sha256_of_lines(lines)


def read_unchanged(path: Path, stamp: Stamp) -> bytes:
    """Return the bytes of a file that must still be as it was listed.

    Raises:
        ValueError: If it is not.
        OSError: If it cannot be read.
    """
    if stamp.size > LARGEST:
        raise ValueError(
            f"{path} has {stamp.size} bytes, more than the {LARGEST} of the largest file "
            f"that is read. Damaged, or something else?"
        )
    with path.open("rb", buffering=0) as file:  # fewer system calls than read_bytes
        data = file.read()
        status = status_of(file.fileno())
    _check(path, stamp, status, len(data))
    return data


def sha256_unchanged(path: Path, stamp: Stamp) -> bytes:
    """Return the SHA-256 of a file that must still be as it was listed.

    Raises:
        ValueError: If it is not.
        OSError: If it cannot be read.
    """
    check_unchanged(path, stamp)
    digest = _sha256(path)
    check_unchanged(path, stamp)
    return digest


def check_unchanged(path: Path, stamp: Stamp) -> None:
    """Refuse a file that is not any more as it was listed.

    Raises:
        ValueError: If it is not.
        OSError: If it is gone.
    """
    _check(path, stamp, status_of(path), stamp.size)


def _check(path: Path, stamp: Stamp, status: os.stat_result, read: int) -> None:
    now = status.st_size, status.st_mtime_ns
    if now != stamp[:2] or read != stamp.size or not stat.S_ISREG(status.st_mode):
        raise ValueError(
            f"{path} has changed while the set was read: it had {stamp.size} bytes and has "
            f"{status.st_size} now. Let what writes it come to an end, and start again."
        )


def read_text(path: Path) -> tuple[str, str]:
    """Return what a text file says, and the SHA-256 of its bytes.

    Raises:
        ValueError: If it is no text in UTF-8; the line is named. If it is too long.
        OSError: If it cannot be read.
    """
    data = read_bounded(path, LONGEST_TEXT, "list of names or labels")
    try:
        return decoded(data), hashlib.sha256(data).hexdigest()
    except ValueError as error:
        raise ValueError(f"{path}: {error}, if it is not damaged.") from error


def sha256_of_names(names: Iterable[str]) -> str:
    """Return the SHA-256 of names in their order."""
    # names are bytes to the system, and not all of them are text
    text = "".join(f"{name}\0" for name in names)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def sha256_of_all(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 of the names and digests of many files, whatever their order."""
    return _sha256_of_lines(f"{name}\0{one}" for name, one in digests.items())


@dataclass(frozen=True, eq=False)
class Originals:
    """The files that a cache was made of, and what was in them when they were read."""

    folder: Path
    """In which they lie."""
    names: Sequence[str]
    """Paths relative to `folder`; a file that was read several times stands there as
    often."""
    sha256: UInt8[np.ndarray, "N 32"]
    """SHA-256 of the bytes of each."""

    @property
    def digest(self) -> str:
        """SHA-256 of all names and digests, for ``Dataset.source``."""
        digests = np.ascontiguousarray(self.sha256).tobytes().hex()
        each = (digests[k : k + 2 * SHA256] for k in range(0, len(digests), 2 * SHA256))
        return _sha256_of_lines(
            {f"{name}\0{one}" for name, one in zip(self.names, each, strict=True)}
        )

    def changed(self, advance: Callable[[], None]) -> list[str]:
        """Read every file again and return the names of those with other bytes, or gone.

        Args:
            advance: Called after each file.

        Raises:
            OSError: If a file cannot be read.
        """
        wanted: dict[str, set[bytes]] = {}
        for name, sha256 in zip(self.names, self.sha256, strict=True):
            wanted.setdefault(name, set()).add(sha256.tobytes())
        differing = []
        with ThreadPoolExecutor() as pool:
            found = pool.map(self._sha256_now, wanted)
            for (name, digests), now in zip(wanted.items(), found, strict=True):
                if digests != {now}:
                    differing.append(name)
                advance()
        return differing

    def _sha256_now(self, name: str) -> bytes:
        path = self.folder / name
        return _sha256(path) if path.is_file() else b""


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _sha256_of_lines(lines: Iterable[str]) -> str:
    return sha256_of_names(sorted(lines))
