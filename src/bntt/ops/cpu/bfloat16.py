"""bfloat16 for Numba, which has none: a ``uint16`` is the upper half of a float32."""

import typing

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

ONE = 0x3F80  # 1.0 in bfloat16


@intrinsic
def _as_float(typingctx, bits):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.uint32), codegen


@intrinsic
def _as_bits(typingctx, value):
    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], ir.IntType(32))

    return types.uint32(types.float32), codegen


@typing.no_type_check
def widen(x):
    """A stored number as one to calculate with: bfloat16 becomes float32."""


@typing.no_type_check
def narrow(value, like):
    """``value`` in the storage type of ``like``, rounded to nearest even."""


@typing.no_type_check
def spike(fired, like):
    """1 or 0 in the storage type of ``like``."""


@overload(widen)
def _widen(x):
    if x == types.uint16:
        return lambda x: _as_float(np.uint32(x) << np.uint32(16))  # pyright: ignore
    return lambda x: x


@overload(narrow)
def _narrow(value, like):
    if like != types.uint16:
        return lambda value, like: value

    @typing.no_type_check
    def impl(value, like):
        bits = _as_bits(value)  # pyright: ignore
        rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> (
            np.uint32(16)
        )
        # rounding could carry a NaN over into an infinity or a zero
        return np.uint16(rounded) if value == value else np.uint16(0x7FC0)

    return impl


@overload(spike)
def _spike(fired, like):
    if like == types.uint16:
        return lambda fired, like: np.uint16(ONE) if fired else np.uint16(0)
    if like == types.float32:
        return lambda fired, like: np.float32(1) if fired else np.float32(0)
    return lambda fired, like: 1.0 if fired else 0.0
