"""Whole numbers of any kind as bytes: which value becomes 255, and what that loses."""

import numpy as np
from jaxtyping import Int32, Integer, UInt8

LEAST, MOST = 255, (1 << 16) - 1
"""The least and the largest value that may mean white."""
STRIP = 1 << 20
"""Number of values that are turned at a time, so that what is made on the way stays
small."""
FEW = 64
"""If so many of 256 levels are used, or fewer, it is said."""


class Unsuited(ValueError):
    """Pixels that are whole, but cannot be bytes without a guess."""


def as_bytes(values: Integer[np.ndarray, "*S"], white: int) -> UInt8[np.ndarray, "*S"]:
    """Divide 0 to `white` into 256 equal parts, and number them.

    Of 16 bits it keeps the upper 8, of 12 bits the upper 8, and bytes stay as they are.

    Args:
        values: Whole numbers of any type.
        white: The value that becomes 255, `LEAST` to `MOST`.

    Raises:
        Unsuited: If there are values outside; none is ever clipped.
    """
    if values.size:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > white:
            raise Unsuited(
                f"its values go from {low} to {high}, but 0 means black and {white} white"
            )
    flat, out = values.reshape(-1), np.empty(values.size, dtype=np.uint8)
    for first in range(0, len(flat), STRIP):
        strip = flat[first : first + STRIP].astype(np.uint32)
        out[first : first + STRIP] = strip * 256 // (white + 1)
    return out.reshape(values.shape)


def few_levels(what: str, peak: int, white: int) -> str:
    """Say that values hardly rise above black, as those of fewer bits in a file of more.

    Args:
        what: Whose values, such as "This picture's".
        peak: The highest of them; 0 if they are bytes, of which nothing is said.
        white: The value that becomes 255.

    Returns:
        A sentence; empty if a quarter of the range is reached.
    """
    levels = peak * 256 // (white + 1) + 1
    if not peak or levels > FEW:
        return ""
    likely = max(LEAST, (1 << peak.bit_length()) - 1)
    return (
        f"{what} values reach {peak} of the {white} that mean white, which leaves {levels} "
        f"of 256 levels. If {likely} is what means white in them, set white={likely} in "
        f"the recipe that trains."
    )


def few_levels_of_all(deep: Int32[np.ndarray, "N 2"], white: int) -> str:
    """Say the same of many pictures, or that `white` says nothing of any of them.

    Args:
        deep: Of each, the highest value and the one that becomes 255; 0 and 255 if it has
            no more than 8 bits.
        white: What the recipe names; 0 if nothing.
    """
    deep = deep[deep[:, 0] > 0]
    if not len(deep):
        unused = f"No picture has more than 8 bits, of which white={white} speaks."
        return unused if white else ""
    peak, most = deep[(deep[:, 0] / deep[:, 1]).argmax()].tolist()
    return few_levels(f"Of {len(deep)} pictures of more than 8 bits the", peak, most)
