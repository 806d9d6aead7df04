"""Damaged copies of honest files: the same ones for the same seed.

A few cases run by default; ``BNTT_FUZZ=5000`` in the environment runs so many of each.
"""

import os
import random
from collections.abc import Iterator

CASES = int(os.environ.get("BNTT_FUZZ", "40"))


def damaged(data: bytes, cases: int = CASES, seed: int = 0) -> Iterator[bytes]:
    """Copies of `data`, each spoilt in one of the ways in which files get spoilt."""
    draw = random.Random(seed)
    for _ in range(cases):
        yield draw.choice(WAYS)(bytearray(data), draw)


def _flip_bits(data: bytearray, draw: random.Random) -> bytes:
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _cut(data: bytearray, draw: random.Random) -> bytes:
    return bytes(data[: draw.randrange(len(data))])


def _overwrite(data: bytearray, draw: random.Random) -> bytes:
    first, count = draw.randrange(len(data)), draw.choice((1, 2, 4, 8, 200))
    data[first : first + count] = draw.choice((b"\0", b"\xff", b"\x7f")) * count
    return bytes(data)


def _repeat(data: bytearray, draw: random.Random) -> bytes:
    first, last = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    return bytes(data[:last] + data[first:])


def _drop(data: bytearray, draw: random.Random) -> bytes:
    first, last = sorted(draw.randrange(len(data) + 1) for _ in range(2))
    return bytes(data[:first] + data[last:])


def _noise(data: bytearray, draw: random.Random) -> bytes:
    first, count = draw.randrange(len(data)), draw.choice((4, 32, 256))
    data[first : first + count] = draw.randbytes(count)
    return bytes(data)


WAYS = (_flip_bits, _flip_bits, _cut, _overwrite, _repeat, _drop, _noise)
