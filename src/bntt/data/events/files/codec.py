"""Events to the bits that files hold, and back; nothing here opens a file.

Every decoder gives image coordinates, x from the left and y from the top, and polarity 1
for ON (brighter).
"""

import numpy as np
from jaxtyping import Bool, Int64, Shaped, UInt8, UInt16, UInt32

DVS128 = 128
"""Columns, and rows, of a DVS128."""
DVS128_BITS = 15
"""Bits of an address that a DVS128 uses; the higher ones mark what is no pixel's event."""
NMNIST_OVERFLOW_ROW = 240
"""The row that a 5-byte record names when it is no event but the clock running over."""
NMNIST_OVERFLOW = 1 << 13
"""Microseconds that such a record adds to its own time and all later ones."""
NMNIST_BITS = 23
"""Bits of the clock of a 5-byte record, which runs over every 8.4 seconds."""
LATE = 64
"""So many events after a clock ran over, some from before may still come."""


def encode_dvs128(
    x: UInt16[np.ndarray, " E"],
    y: UInt16[np.ndarray, " E"],
    polarity: UInt8[np.ndarray, " E"],
) -> UInt32[np.ndarray, " E"]:
    """Return the address of each event; see `decode_dvs128`."""
    last = np.uint32(DVS128 - 1)
    column, row = last - x.astype(np.uint32), last - y.astype(np.uint32)
    return row << np.uint32(8) | column << np.uint32(1) | np.uint32(1) - polarity


def decode_dvs128(
    address: UInt32[np.ndarray, " E"],
) -> tuple[UInt16[np.ndarray, " E"], UInt16[np.ndarray, " E"], UInt8[np.ndarray, " E"]]:
    """Return x, y and polarity from the addresses of a DVS128, and of CIFAR10-DVS.

    Bit 0 is *clear* for ON; bits 1 to 7 count columns from the right; bits 8 to 14 count
    rows from the bottom. So jAER shows them (``DVS128.Extractor`` flips polarity and x, and
    draws upwards), and so they are upright. ``dat2mat``, the MATLAB reader that CIFAR10-DVS
    names, gives ``127 - bits 1..7``, ``bits 8..14`` and 1 for a clear bit 0, else -1.
    Where the bits are handed out as they are, 1 is OFF and the picture is upside down.
    """
    low = address.astype(np.uint16)  # the 15 bits that count, at half the memory traffic
    last = np.uint16(DVS128 - 1)
    x = last - (low >> np.uint16(1) & last)
    y = last - (low >> np.uint16(8) & last)
    return x, y, (~low & np.uint16(1)).astype(np.uint8)


def is_dvs128(address: UInt32[np.ndarray, " E"]) -> Bool[np.ndarray, " E"]:
    """Return which addresses are a pixel's: no bit above the 15 of a DVS128 is set.

    jAER sets bit 15 or 31 for what came in at the camera's connector (synchronisation,
    triggers); the bits between belong to other sensors.
    """
    return address >> np.uint32(DVS128_BITS) == 0


def encode_polarity(
    x: UInt16[np.ndarray, " E"],
    y: UInt16[np.ndarray, " E"],
    polarity: UInt8[np.ndarray, " E"],
    valid: Bool[np.ndarray, " E"],
) -> UInt32[np.ndarray, " E"]:
    """Return the first word of each AEDAT 3.1 polarity event; see `decode_polarity`."""
    place = x.astype(np.uint32) << np.uint32(17) | y.astype(np.uint32) << np.uint32(2)
    return place | polarity.astype(np.uint32) << np.uint32(1) | valid.astype(np.uint32)


def decode_polarity(
    word: UInt32[np.ndarray, " E"],
) -> tuple[
    UInt16[np.ndarray, " E"],
    UInt16[np.ndarray, " E"],
    UInt8[np.ndarray, " E"],
    Bool[np.ndarray, " E"],
]:
    """Return x, y, polarity and validity from the first words of AEDAT 3.1 events.

    Bit 0 is validity, bit 1 polarity (1 is ON), bits 2 to 16 y, bits 17 to 31 x; the
    origin is the upper left corner already.
    """
    x = (word >> np.uint32(17)).astype(np.uint16)
    y = (word >> np.uint32(2) & np.uint32(0x7FFF)).astype(np.uint16)
    polarity = (word >> np.uint32(1) & np.uint32(1)).astype(np.uint8)
    return x, y, polarity, (word & np.uint32(1)).astype(bool)


def encode_nmnist(
    x: UInt16[np.ndarray, " E"],
    y: UInt16[np.ndarray, " E"],
    t: Int64[np.ndarray, " E"],
    polarity: UInt8[np.ndarray, " E"],
) -> UInt8[np.ndarray, "E 5"]:
    """Return the 5-byte record of each event; see `decode_nmnist`."""
    high = (t >> 16) | polarity.astype(np.int64) << 7
    return np.stack([x, y, high, t >> 8 & 0xFF, t & 0xFF], axis=1).astype(np.uint8)


def decode_nmnist(
    record: UInt8[np.ndarray, "E 5"],
) -> tuple[
    UInt16[np.ndarray, " E"],
    UInt16[np.ndarray, " E"],
    Int64[np.ndarray, " E"],
    UInt8[np.ndarray, " E"],
]:
    """Return x, y, t and polarity from 5-byte records, as N-MNIST's files hold them.

    Byte 0 is x, byte 1 y, bit 7 of byte 2 polarity (1 is ON), and the other 23 bits, most
    significant first, microseconds; the origin is the upper left corner already.
    """
    x, y = record[:, 0].astype(np.uint16), record[:, 1].astype(np.uint16)
    high, middle, low = (record[:, k].astype(np.int64) for k in (2, 3, 4))
    t = (high & 0x7F) << 16 | middle << 8 | low
    polarity = (high >> 7).astype(np.uint8)
    return x, y, t, polarity


def unwrap(raw: Shaped[np.ndarray, " E"], bits: int = 32) -> Int64[np.ndarray, " E"]:
    """Return times from a clock that runs over: one of 32 bits does every 71.6 minutes.

    A step back by more than half the clock's range is the clock running over, any other is
    left as it is. Of events that were recorded a little late, some may still tell the time
    from before: soon after the clock ran over, a step ahead by more than half the range
    leads back there.

    Args:
        raw: Whole numbers, of which the lowest and the highest are less than the range
            apart.
        bits: Of the clock.
    """
    t = raw.astype(np.int64)
    half = 1 << (bits - 1)
    step = np.diff(t)
    turns = np.zeros(len(step), dtype=np.int64)
    over = -LATE
    # whether to go back depends on what was found before; there are few such steps
    for k in np.flatnonzero(np.abs(step) > half).tolist():
        if step[k] < 0:
            turns[k], over = 1, k
        elif k - over < LATE:
            turns[k] = -1
    if turns.any():
        t[1:] += np.cumsum(turns) << bits
    return t
