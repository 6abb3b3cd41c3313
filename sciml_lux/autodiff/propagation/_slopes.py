"""Value and derivatives of those functions of one number that networks use most.

JAX's own rules would compute the same from the same intermediates, in more operations.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...programs import Call, bind

Slopes: TypeAlias = Iterator[Array]
"""The value and the derivatives in order; those beyond the last are zero."""


class Known(NamedTuple):
    """How the derivatives of a function are computed.

    Attributes:
        kept: what reverse mode keeps for them: the value first, and what takes long to compute.
        slopes: the value and the derivatives from that, in a few operations.
        order: how many derivatives are known.
    """

    kept: Callable[[Call, Array], tuple[Array, ...]]
    slopes: Callable[..., Slopes]
    order: float = math.inf


def _value(call: Call, x: Array) -> tuple[Array, ...]:
    return (bind(call, x),)


def _tanh(y: Array) -> Slopes:
    slope = (1 - y) * (1 + y)
    yield from (y, slope, -2 * y * slope)
    yield slope * (6 * y * y - 2)
    yield slope * (8 - 12 * y * y) * (2 * y)


def _logistic(y: Array) -> Slopes:
    slope = y * (1 - y)
    yield from (y, slope, slope * (1 - 2 * y))
    yield slope * (1 - 6 * slope)
    yield slope * (1 - 2 * y) * (1 - 12 * slope)


def _wave(y: Array, slope: Array) -> Slopes:
    return itertools.cycle((y, slope, -y, -slope))


def _square(y: Array, x: Array) -> Slopes:
    yield from (y, 2 * x, jnp.full_like(x, 2))


SLOPES: Mapping[str, Known] = {
    "tanh": Known(_value, _tanh, order=4),
    "logistic": Known(_value, _logistic, order=4),
    "exp": Known(_value, itertools.repeat),
    "sin": Known(lambda call, x: (bind(call, x), jnp.cos(x)), _wave),
    "cos": Known(lambda call, x: (bind(call, x), -jnp.sin(x)), _wave),
    "square": Known(lambda call, x: (bind(call, x), x), _square),
}


def known_power(exponent: int) -> Known:
    """xⁿ, whose derivatives end where n is positive."""

    def slopes(y: Array, x: Array) -> Slopes:
        yield y
        factor = exponent
        for power in itertools.count(exponent - 1, -1):
            if factor == 0:
                return
            yield factor * jax.lax.integer_pow(x, power)
            factor *= power

    return Known(lambda call, x: (bind(call, x), x), slopes)


def known_by_jax(function: Callable[[Array], Array], order: int) -> Known:
    """`order` derivatives of an elementwise `function` by JAX's rules."""
    return Known(lambda call, x: _nested(function, order)(x), lambda *slopes: iter(slopes), order)


def _nested(function: Callable[[Array], Array], order: int) -> Callable[[Array], tuple[Array, ...]]:
    """The value and `order` derivatives, as a function."""
    if order == 0:
        return lambda x: (function(x),)
    lower = _nested(function, order - 1)

    def derivatives(x: Array) -> tuple[Array, ...]:
        found, slopes = jax.jvp(lower, (x,), (jnp.ones_like(x),))
        return (*found, slopes[-1])

    return derivatives
