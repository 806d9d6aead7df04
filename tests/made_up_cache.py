"""A small cache of two arrays, for the tests of what builds and opens it."""

import numpy as np

from bntt.data.cache import cached

ROWS, CHUNK = 95, 10
ARRAYS = {"squares": ((ROWS, 2, 3), "int64"), "odd": ((ROWS,), "bool")}


def fill(first, last, views):
    for row in range(first, last):
        views["squares"][row - first] = row**2 + np.arange(6).reshape(2, 3)
        views["odd"][row - first] = row % 2


def build(fill=fill, key=1, chunk=CHUNK, arrays=ARRAYS):
    return cached("made", {"k": key}, arrays, fill, chunk=chunk, what="Rows", quiet=True)


def assert_whole(made):
    rows = np.arange(ROWS)
    assert (made["squares"] == rows[:, None, None] ** 2 + np.arange(6).reshape(2, 3)).all()
    assert (made["odd"] == rows % 2).all()


def refuse(first, last, views):
    raise AssertionError("the cache should have been opened")
