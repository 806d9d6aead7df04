"""Runs a kernel over blocks on as many threads as torch uses.

Kernels release the interpreter's lock, so plain Python threads serve. Numba's own layers
would start a second OpenMP beside torch's (a process that forks afterwards dies) or abort
where two Python threads enter at once.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch

_pools: dict[int, ThreadPoolExecutor] = {}
# the threads of a pool do not survive a fork: a child starts its own
if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_pools.clear)


def run_blocks(kernel: Callable[..., None], blocks: int, *args: object) -> None:
    """Call ``kernel(first, last, *args)`` on ranges that together cover ``blocks``.

    The caller works as well, and takes whatever ranges no other thread has begun. So it
    finishes alone where there are no others: after the main thread has ended, or where the
    system gives no more threads.
    """
    threads = max(1, min(torch.get_num_threads(), blocks))
    cuts = [blocks * k // threads for k in range(threads + 1)]
    spans = deque(zip(cuts[:-1], cuts[1:], strict=True))

    def work() -> None:
        while spans:
            try:
                span = spans.popleft()
            except IndexError:  # another thread was faster
                return
            kernel(*span, *args)

    helpers = [helper for _ in range(threads - 1) if (helper := _submit(threads, work))]
    try:
        work()
    finally:  # nobody still writes when this returns
        for helper in helpers:
            if not helper.cancel():
                helper.result()


def _submit(threads: int, work: Callable[[], None]) -> Future[None] | None:
    try:
        return _pool(threads).submit(work)
    except RuntimeError:  # the interpreter is ending, or there are no more threads
        return None


def _pool(threads: int) -> ThreadPoolExecutor:
    if threads not in _pools:
        _pools.setdefault(threads, ThreadPoolExecutor(threads, "bntt"))
    return _pools[threads]
