"""Runs a kernel over blocks on as many threads as torch uses.

Kernels release the interpreter's lock, so plain Python threads serve. Numba's own layers
would start a second OpenMP beside torch's (a process that forks afterwards dies) or abort
where two Python threads enter at once.
"""

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_pools: dict[int, ThreadPoolExecutor] = {}
# the threads of a pool do not survive a fork: a child starts its own
os.register_at_fork(after_in_child=_pools.clear)


def run_blocks(kernel: Callable[..., None], blocks: int, *args: object) -> None:
    """Call ``kernel(first, last, *args)`` on ranges that together cover ``blocks``."""
    _announce(kernel)
    threads = min(torch.get_num_threads(), blocks)
    if threads <= 1:
        kernel(0, blocks, *args)
        return
    cuts = [blocks * k // threads for k in range(threads + 1)]
    ranges = list(zip(cuts[:-1], cuts[1:], strict=True))
    waiting = [_pool(threads).submit(kernel, *span, *args) for span in ranges[1:]]
    kernel(*ranges[0], *args)
    for future in waiting:
        future.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    return _pools.setdefault(threads, ThreadPoolExecutor(threads, "bntt"))


def _announce(kernel: Callable[..., None]) -> None:
    """Say once why nothing seems to happen: the first call of a kernel compiles it."""
    if not getattr(kernel, "signatures", True) and not _announced:
        _announced.append(True)
        logging.getLogger("bntt").warning(
            "bntt: preparing the CPU kernels (a few seconds; compiled once, then cached on disk)"
        )


_announced: list[bool] = []
