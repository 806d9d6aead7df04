"""The cache of compiled kernels on disk, each file of which is checked before it is used.

Numba's own cache trusts what it finds. A file cut short by a power failure then ends the
program, and so does a disk that is full; a flipped bit becomes machine code. Here a file
begins with a digest, and a kernel whose file does not fit is compiled again and written
over. The digest covers the sources of all kernels, because the machine code of one holds
those that it calls.
"""

import hashlib
import logging
import os
import pickle
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import FunctionCache, NullCache
from numba.core.serialize import dumps

SOURCES = ("bfloat16.py", "kernels.py")


def keep(dispatcher: Any) -> None:
    """Give a jitted function its cache, or where none can be had, the word of compiling."""
    try:
        dispatcher._cache = KernelCache(dispatcher.py_func)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        dispatcher._cache = _Nowhere()


class KernelCache(FunctionCache):
    """Numba's cache of one function, in files that are checked and may be missing."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file = CheckedFiles(Path(self._cache_path), self._impl.filename_base)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled function from disk; None, and a message, if it must be compiled."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception:  # unpickled for another Numba, unreadable, out of date
            found = None
        if found is None:
            _say_compiling()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write it to disk; if that fails, say that later processes compile again."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _say_unkept(str(error))


class CheckedFiles:
    """One file for each signature of a function: a digest, then what was pickled."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    def load(self, key: object) -> Any:
        """What :meth:`save` wrote for ``key`` from the same sources; None if in doubt."""
        try:
            kept = self._path(key).read_bytes()
        except OSError:
            return None
        digest, body = kept[:32], kept[32:]
        return pickle.loads(body) if digest == _digest(body) else None

    def save(self, key: object, data: object) -> None:
        """Write or replace the file for ``key``, whole or not at all."""
        path, body = self._path(key), dumps(data)
        draft = path.with_suffix(f".{uuid.uuid4().hex[:16]}")
        try:
            draft.write_bytes(_digest(body) + body)
            os.replace(draft, path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def flush(self) -> None:
        """Do nothing: a file that is out of date does not fit its digest."""

    def _path(self, key: object) -> Path:
        signature = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return self.folder / f"{self.name}.{signature}.nbc"


class _Nowhere(NullCache):
    def load_overload(self, sig: Any, target_context: Any) -> None:
        _say_compiling()


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(_made_by() + body).digest()


@cache
def _made_by() -> bytes:
    """What decides the machine code, apart from the processor: versions and sources."""
    folder = Path(__file__).parent
    versions = f"numba {numba.__version__}, llvmlite {llvmlite.__version__}\n".encode()
    return versions + b"".join((folder / name).read_bytes() for name in SOURCES)


@cache
def _say_compiling() -> None:
    logging.getLogger("bntt").warning("bntt: compiling the CPU kernels (a few seconds)")


@cache
def _say_unkept(why: str) -> None:
    logging.getLogger("bntt").warning(
        "bntt: the compiled kernels cannot be kept on disk, so the next program compiles "
        "again; set NUMBA_CACHE_DIR to a folder with space (%s)",
        why,
    )
