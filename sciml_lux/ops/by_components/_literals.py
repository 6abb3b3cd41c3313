"""Constants as C, to the last bit: a literal carries its type."""

import math
from collections.abc import Mapping

import numpy as np

from ._refusal import Refusal

C_TYPES: Mapping[np.dtype, str] = {
    np.dtype(np.float32): "float",
    np.dtype("float64"): "double",
    np.dtype(np.int32): "int",
    np.dtype(np.bool_): "bool",
}
"""The C name of each type of a component."""

_FROM_BITS = {
    4: ("__int_as_float(0x7fc00000)", "__int_as_float(0x7f800000)"),
    8: ("__longlong_as_double(0x7ff8000000000000LL)", "__longlong_as_double(0x7ff0000000000000LL)"),
}
"""NaN and infinity by the bytes of a float: not macros of a header, which there may be none of."""


def literal(value: np.generic) -> str:
    """The number in C; floats in hexadecimal, which no compiler rounds."""
    if value.dtype not in C_TYPES:
        raise Refusal(f"{value.dtype} has no C form: components are float32, float64, int32, bool.")
    if value.dtype == np.bool_:
        return "true" if value else "false"
    if value.dtype == np.int32:
        return "(-2147483647 - 1)" if value == np.iinfo(np.int32).min else f"({int(value)})"
    number, size = float(value), value.dtype.itemsize
    nan, infinity = _FROM_BITS[size]
    if math.isnan(number):
        return nan
    if math.isinf(number):
        return f"({'-' if number < 0 else ''}{infinity})"
    return f"({_short(number.hex())}{'f' if size == 4 else ''})"


def _short(digits: str) -> str:
    """Without the zeros at the end of the fraction."""
    mantissa, exponent = digits.split("p")
    whole, _, fraction = mantissa.partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}p{exponent}"
