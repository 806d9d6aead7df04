"""How the GPU kernels cut ``[T, M, C]`` into tiles, and the loads that all of them share.

A program works on ``ROWS`` elements by ``COLUMNS`` channels. Which ones depends on the
shape alone, never on what was measured: the tile decides in which order sums are taken, so
an autotuned tile would make results depend on the weather.
"""

# pyright: reportIndexIssue=false, reportOptionalOperand=false
# Triton compiles the kernels itself; to Python they are functions on pointers.
import typing

import triton
import triton.language as tl

COLUMNS = 32
"""Most channels of a tile: with float32 a row of it is a whole line of cache, 128 bytes."""


def shape(size: int, C: int) -> tuple[int, int]:
    """Rows and columns of tiles that hold ``size`` numbers; all are powers of two."""
    columns = min(COLUMNS, triton.next_power_of_2(C))
    return size // columns, columns


def blocks(M: int, rows: int) -> int:
    """How many tiles lie below one another."""
    return triton.cdiv(M, rows)


def tiles(M: int, C: int, rows: int, columns: int) -> int:
    """How many tiles a time-step has."""
    return blocks(M, rows) * triton.cdiv(C, columns)


@triton.jit
@typing.no_type_check
def place(tile, M, C, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Where a tile lies, of those that a time-step is cut into.

    Its block of rows, its columns, which of them exist, the numbers' offsets in a
    time-step, and which of these exist. Offsets have 64 bits: a step may be past 2^31.
    """
    across = tl.cdiv(C, COLUMNS)
    block = (tile // across).to(tl.int64)
    rows = block * ROWS + tl.arange(0, ROWS)
    columns = (tile % across) * COLUMNS + tl.arange(0, COLUMNS)
    exist = columns < C
    inside = (rows < M)[:, None] & exist[None, :]
    return block, columns, exist, rows[:, None] * C + columns[None, :], inside


@triton.jit
@typing.no_type_check
def wide(pointers, mask):
    """Numbers of any type as float32, and 0 where there are none."""
    return tl.load(pointers, mask=mask, other=0.0).to(tl.float32)
