"""Value, first and second derivative of those functions of one number that networks use most.

JAX's own rules would compute the same from the same intermediates, in more operations.
"""

from collections.abc import Callable, Mapping

import jax.numpy as jnp
from jaxtyping import Array

from ..programs import Call, bind

Slopes = tuple[Array, Array, Array]


def _tanh(call: Call, x: Array) -> Slopes:
    y = bind(call, x)
    slope = (1 - y) * (1 + y)
    return y, slope, -2 * y * slope


def _logistic(call: Call, x: Array) -> Slopes:
    y = bind(call, x)
    slope = y * (1 - y)
    return y, slope, slope * (1 - 2 * y)


def _exp(call: Call, x: Array) -> Slopes:
    y = bind(call, x)
    return y, y, y


def _sin(call: Call, x: Array) -> Slopes:
    y = bind(call, x)
    return y, jnp.cos(x), -y


def _cos(call: Call, x: Array) -> Slopes:
    y = bind(call, x)
    return y, -jnp.sin(x), -y


def _square(call: Call, x: Array) -> Slopes:
    return bind(call, x), 2 * x, jnp.full_like(x, 2)


SLOPES: Mapping[str, Callable[[Call, Array], Slopes]] = {
    "tanh": _tanh,
    "logistic": _logistic,
    "exp": _exp,
    "sin": _sin,
    "cos": _cos,
    "square": _square,
}
