"""Inputs on which float32 is exact, so that two correct paths must agree bit for bit.

Currents, shifts and membranes are multiples of 1/8, scales and thresholds are powers of
two, leaks are short binary fractions. A scaled current is a multiple of 1/16 of at most 4;
over six time-steps a leak of 3/4 adds at most ten binary places, or twelve to ``v0``, and
the sum stays below 32. A membrane potential then needs at most 20 of float32's 24
significant bits: nothing is rounded, and neither the order of operations nor a fused
multiply-add can change a spike. The same grid visits the threshold itself, which random
normal numbers never do.
"""

import torch
from hypothesis import strategies as st

DTYPES = [torch.float32, torch.float64, torch.bfloat16]
# one row, no full tile, several tiles, several blocks, a channel wider than a tile
SHAPES = [(1, 5, 1), (3, 1, 2), (4, 129, 7), (40, 67, 33), (2, 1300, 64), (3, 7, 2500)]

STEPS = st.integers(1, 6)
BATCHES = st.integers(1, 3)
CHANNELS = st.sampled_from([1, 2, 3, 5, 8, 17])
SPACES = st.sampled_from([(), (1,), (7,), (1, 1), (2, 3), (5, 7)])
RESETS = st.sampled_from(["soft", "hard", "none"])
LEAKS = st.sampled_from([0.0, 0.5, 0.75, 1.0])
THRESHOLDS = st.sampled_from([0.5, 1.0, 2.0])
SCALES = torch.tensor([0.5, 1.0, 2.0, -1.0])


@st.composite
def affine_lif_inputs(draw, resets=RESETS):
    """``z`` [T, N, C, *S]; ``a``, ``b`` [T, C]; ``v0`` [N, C, *S]; the neuron's numbers."""
    T, N, C, S = draw(STEPS), draw(BATCHES), draw(CHANNELS), draw(SPACES)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))

    def eighths(low, high, *shape):
        return torch.randint(low, high + 1, shape, generator=generator) / 8

    return {
        "z": eighths(-8, 16, T, N, C, *S),
        "a": SCALES[torch.randint(len(SCALES), (T, C), generator=generator)],
        "b": eighths(-8, 8, T, C),
        "v0": eighths(-8, 8, N, C, *S),
        "leak": draw(LEAKS),
        "v_threshold": draw(THRESHOLDS),
        "reset": draw(resets),
    }
