"""Where Triton's kernels run in tests: on a GPU, or else in Triton's interpreter.

The interpreter calculates with NumPy, program by program. It is asked for by a variable
that is read when the kernels are made, so this is imported before any of them is.
"""

import os

import pytest
import torch

from bntt.ops.gpu import triton_fault

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ.setdefault("TRITON_INTERPRET", "1")

triton = pytest.importorskip("triton", reason="Triton is made for Linux, and optional")
if fault := triton_fault():
    pytest.skip(fault, allow_module_level=True)
if DEVICE == "cpu" and tuple(map(int, triton.__version__.split(".")[:2])) < (3, 7):
    why = f"the interpreter of Triton {triton.__version__} does not run with today's NumPy"
    pytest.skip(why, allow_module_level=True)

# bfloat16 is rounded by GPUs only; tests/test_gpu_compiled.py proves it to be like float16
DTYPES = [torch.float32, torch.float16]
if DEVICE == "cuda":
    DTYPES.append(torch.bfloat16)

# Shapes (T, M, C) that meet: one number; no whole segment of time; a whole one and no more;
# two and some steps before them; two alone; rows and channels that end inside of a tile
SHAPES = [(1, 5, 1), (4, 129, 7), (8, 3, 70), (19, 35, 33), (16, 2, 3)]
