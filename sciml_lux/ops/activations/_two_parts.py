"""Exponents as sums of two floats: rounding one to a float costs eˣ as many ulps as x is large.

High parts are products of numbers with few bits, and exact, whether or not a compiler contracts
them to fused multiply-adds; low parts are what rounding leaves of the sum. float16 and
bfloat16 have too few bits, and are computed in float32.
"""

from fractions import Fraction
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from ...precision import accumulating


class _Bits(NamedTuple):
    """Bits after the point of x, of the rate and of the cubic coefficient, for exact products."""

    x: int
    rate: int
    cubic: int


# For sums up to 1024 in float64 and 128 in float32, where e⁻ˣ is 0 in that dtype.
_BITS = {52: _Bits(10, 33, 13), 23: _Bits(3, 14, 8)}
_BITS_OF_SQUARE = {52: 16, 23: 8}


def decay_of_cubic(x: Array, rate: Fraction, cubic: Fraction) -> Array:
    """e to the power of -|rate x + cubic x³|."""
    return accumulating(lambda x: _decay(*_cubic_parts(x, rate, cubic)), x)


def decay_of_half_square(x: Array) -> Array:
    """e to the power of -x²/2."""
    return accumulating(lambda x: _decay(*_half_square_parts(x)), x)


def _cubic_parts(x: Array, rate: Fraction, cubic: Fraction) -> tuple[Array, Array]:
    bits = _BITS[jnp.finfo(x.dtype).nmant]
    near, beside = _on_grid(x, bits.x)
    rate_high, rate_low = _rounded(rate, bits.rate)
    cubic_high, cubic_low = _rounded(cubic, bits.cubic)
    difference = beside * (rate_high + cubic_high * (x * x + x * near + near * near))
    rest = difference + x * (rate_low + cubic_low * (x * x))
    return _fast_sum(near * (rate_high + cubic_high * (near * near)), rest)


def _half_square_parts(x: Array) -> tuple[Array, Array]:
    near, beside = _on_grid(x, _BITS_OF_SQUARE[jnp.finfo(x.dtype).nmant])
    return _fast_sum(near * near / 2, beside * (x + near) / 2)


def _decay(high: Array, low: Array) -> Array:
    """e to the power of -|high + low|, for a low part that is a rounding error of the high one."""
    decay = jnp.exp(-jnp.abs(high))
    return decay - decay * (jnp.sign(high) * low)


def _on_grid(x: Array, bits: int) -> tuple[Array, Array]:
    """x rounded to `bits` after the point, and the rest, both exact."""
    beside = x - jnp.round(x * 2.0**bits) * 2.0**-bits
    return x - beside, beside


def _rounded(number: Fraction, bits: int) -> tuple[float, float]:
    high = Fraction(round(number * 2**bits), 2**bits)
    return float(high), float(number - high)


def _fast_sum(large: Array, small: Array) -> tuple[Array, Array]:
    """large + small as a float and its rounding error."""
    high = large + small
    return high, small - (high - large)
