"""Arrays that are made once, chunk by chunk, and from then on memory-mapped.

A cache is a folder of ``.npy`` files and a ``meta.json``. It is built beside its place, in
a folder ``.part`` with a journal of the chunks that are finished, and renamed when it is
whole: what has the name is complete, and what was killed goes on where it stopped.

Whoever writes to its files changes their dates, which are in ``meta.json``. A cache whose
dates differ is read whole and compared with its checksums before it is used.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from ...machine.extras import how_to_install
from ...machine.progress import Display
from .arrays import (
    META,
    dates,
    json_sha256,
    open_rows,
    read_meta,
    rows_sha256,
    write_meta,
)
from .building import Fill, build
from .plan import Plan
from .room import check_room, writing

FORMAT = 2
"""Version of the layout of the folder. It is part of the hash in the folder's name, so that
a cache of another format is another folder."""


def cached(
    name: str,
    key: Mapping[str, Any],
    arrays: Mapping[str, tuple[tuple[int, ...], str]],
    fill: Fill,
    *,
    chunk: int,
    what: str,
    quiet: bool,
    at_work: int = 0,
) -> dict[str, np.ndarray]:
    """Return arrays from the cache, after making them if it does not hold them.

    They are made on as many threads as there are cores, `chunk` rows at a time; no more
    than the chunks at work are in memory, and there are fewer threads where these are
    large. A process that is killed leaves what it finished to the next, and of several that
    start together one makes them while the others wait.

    Args:
        name: What the folder's name starts with.
        key: Everything that decides the content, as JSON: a `fingerprint` of the source
            files and of where they lie, options, the version of the code that reads them.
        arrays: Shape and dtype of each array; the first axis, of rows, is common to all.
        fill: Called with ``first``, ``last`` and, by name, arrays of zeros to write the
            rows ``first`` to ``last - 1`` into. Runs on several threads at a time.
        chunk: Rows per call of `fill`.
        what: Label of the progress bar.
        quiet: Whether to show none.
        at_work: Bytes that one call of `fill` takes beside its rows.

    Returns:
        By name, the arrays, memory-mapped: what is written to them stays in this process.

    Raises:
        ValueError: If the cache is damaged; the message names the folder to delete.
        OSError: If the cache cannot be written, or the disk has no room for it: the latter
            is said before anything is written.
        ImportError: If filelock is not installed.
        Exception: Whatever `fill` raises; of several chunks that fail, the first one's.
            Those that are finished stay, but not on a full disk, nor after a ValueError:
            a file that is damaged must be changed, and of others another cache is made.
    """
    plan = Plan(dict(arrays), chunk, at_work)
    digest = json_sha256({"format": FORMAT, "key": dict(key), "arrays": plan.arrays})
    folder = cache_folder() / "cache" / f"{name}-{digest[:12]}"
    if not folder.is_dir():
        meta = {"digest": digest, "key": dict(key), "rows": plan.rows, "chunk": chunk}
        _build_once(folder, plan, meta, fill, what, quiet)
    return _opened(folder, plan, digest)


def verify(folder: Path) -> None:
    """Read a whole cache and compare it with the checksums it was built with.

    Raises:
        ValueError: If a byte differs, or there are no checksums to compare with; the
            message names the folder to delete.
    """
    meta = _meta(folder)
    for name, sums in meta["sha256"].items():
        for chunk, wanted in enumerate(sums):
            first = chunk * meta["chunk"]
            last = min(first + meta["chunk"], meta["rows"])
            try:
                found = rows_sha256(folder / f"{name}.npy", first, last)
            except (OSError, ValueError) as error:
                raise _damaged(folder, error) from error
            if found != wanted:
                raise _damaged(folder, f"rows {first} to {last - 1} of {name} have changed")


def folder_of(array: np.ndarray) -> Path:
    """Return the folder of the cache that an array, or a part of it, is mapped from."""
    while not isinstance(array, np.memmap):
        array = cast(np.ndarray, array.base)
    return Path(str(array.filename)).parent


def cache_folder() -> Path:
    """Return where what is downloaded or built is kept: ``$BNTT_DATA``, or the platform's.

    Raises:
        ImportError: If ``$BNTT_DATA`` is not set and pooch, which knows the platform's
            folder, is not installed.
    """
    if named := os.environ.get("BNTT_DATA"):
        return Path(named).expanduser()
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            f"The platform's cache folder is asked of pooch, which is not installed: "
            f"{how_to_install('data')}. Or name a folder with the environment variable "
            f"BNTT_DATA."
        ) from error
    return Path(pooch.os_cache("bntt"))


def _build_once(
    folder: Path, plan: Plan, meta: dict[str, Any], fill: Fill, what: str, quiet: bool
) -> None:
    check_room(folder, plan)
    with writing(folder, plan.nbytes):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder, what, quiet)
    with lock:
        if not folder.is_dir():  # another process may have built it meanwhile
            build(folder, plan, meta, fill, what, quiet)


def _lock(folder: Path, what: str, quiet: bool) -> Any:
    """Take a cache's lock, saying so if that takes time, and return what releases it."""
    try:
        import filelock
    except ImportError as error:
        raise ImportError(
            f"Caches are built under a lock of filelock, which is not installed: "
            f"{how_to_install('data')}"
        ) from error
    lock = filelock.FileLock(f"{folder}.lock")
    try:
        return lock.acquire(timeout=1)
    except filelock.Timeout:
        Display(what, 0, quiet=quiet).say(f"{what}: waiting for a process that is at it.")
    return lock.acquire()


def _opened(folder: Path, plan: Plan, digest: str) -> dict[str, np.ndarray]:
    meta = _meta(folder)
    if meta["digest"] != digest:
        raise _damaged(folder, f"its {META} is of another cache")
    try:
        arrays = {
            name: open_rows(folder / f"{name}.npy", shape, dtype, "c")
            for name, (shape, dtype) in plan.arrays.items()
        }
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    if meta["dates"] != dates(folder, plan):
        _verify_once(folder, plan)
    return arrays


def _verify_once(folder: Path, plan: Plan) -> None:
    """Compare a cache whose dates differ with its checksums, and note the dates."""
    verify(folder)
    with suppress(OSError):  # in a folder that may not be written to it is done each time
        write_meta(folder, _meta(folder) | {"dates": dates(folder, plan)})


def _meta(folder: Path) -> dict[str, Any]:
    try:
        return read_meta(folder)
    except Exception as error:  # what is damaged may be of any kind, or nested too deeply
        raise _damaged(folder, f"{META}: {error!r}") from error


def _damaged(folder: Path, why: object) -> ValueError:
    return ValueError(
        f"The cache {folder} is damaged ({why}). Delete that folder: the next use makes it "
        f"again."
    )
