"""Runs a kernel over blocks on as many threads as torch uses.

Kernels release the interpreter's lock, so plain Python threads serve. Numba's own layers
would start a second OpenMP beside torch's (a process that forks afterwards dies) or abort
where two Python threads enter at once.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

import torch

PATIENCE = 1.0
"""Seconds: loading a kernel from disk takes less, compiling one takes more."""

_pools: dict[int, ThreadPoolExecutor] = {}
# the threads of a pool do not survive a fork: a child starts its own
os.register_at_fork(after_in_child=_pools.clear)


def run_blocks(kernel: Callable[..., None], blocks: int, *args: object) -> None:
    """Call ``kernel(first, last, *args)`` on ranges that together cover ``blocks``."""
    threads = max(1, min(torch.get_num_threads(), blocks))
    cuts = [blocks * k // threads for k in range(threads + 1)]
    first, *others = zip(cuts[:-1], cuts[1:], strict=True)
    with _announced(kernel):
        waiting = [_pool(threads).submit(kernel, *span, *args) for span in others]
        kernel(*first, *args)
        for future in waiting:
            future.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    if threads not in _pools:
        _pools[threads] = ThreadPoolExecutor(threads, "bntt")
    return _pools[threads]


@contextmanager
def _announced(kernel: Callable[..., None]) -> Iterator[None]:
    """Say once why nothing seems to happen, where a first call finds no kernel on disk."""
    if getattr(kernel, "signatures", True):
        yield
        return
    timer = threading.Timer(PATIENCE, _announce)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@cache
def _announce() -> None:
    logging.getLogger("bntt").warning("bntt: compiling the CPU kernels (a few seconds)")
