"""Value and derivatives of those functions of one number that networks use most.

JAX's own rules would compute the same from the same intermediates, in more operations. Each yields
the value and the derivatives, up to the fourth at least.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..programs import Call, bind

Slopes = Iterator[Array]


def _tanh(call: Call, x: Array) -> Slopes:
    y = bind(call, x)
    slope = (1 - y) * (1 + y)
    yield from (y, slope, -2 * y * slope)
    yield slope * (6 * y * y - 2)
    yield slope * (8 - 12 * y * y) * (2 * y)


def _logistic(call: Call, x: Array) -> Slopes:
    y = bind(call, x)
    slope = y * (1 - y)
    yield from (y, slope, slope * (1 - 2 * y))
    yield slope * (1 - 6 * slope)
    yield slope * (1 - 2 * y) * (1 - 12 * slope)


def _exp(call: Call, x: Array) -> Slopes:
    return itertools.repeat(bind(call, x))


def _sin(call: Call, x: Array) -> Slopes:
    y = bind(call, x)
    yield y
    slope = jnp.cos(x)
    yield from itertools.cycle((slope, -y, -slope, y))


def _cos(call: Call, x: Array) -> Slopes:
    y = bind(call, x)
    yield y
    slope = -jnp.sin(x)
    yield from itertools.cycle((slope, -y, -slope, y))


def _square(call: Call, x: Array) -> Slopes:
    yield from (bind(call, x), 2 * x, jnp.full_like(x, 2))
    yield from itertools.repeat(jnp.zeros_like(x))


SLOPES: Mapping[str, Callable[[Call, Array], Slopes]] = {
    "tanh": _tanh,
    "logistic": _logistic,
    "exp": _exp,
    "sin": _sin,
    "cos": _cos,
    "square": _square,
}


def slopes_of(call: Call, function: Callable[[Array], Array], x: Array, order: int) -> list[Array]:
    """The value and `order` derivatives of an elementwise `function`, that of `call`, at `x`."""
    if call.name in SLOPES and not jnp.iscomplexobj(x):
        found = list(itertools.islice(SLOPES[call.name](call, x), order + 1))
        if len(found) == order + 1:
            return found
    return list(_nested(function, order)(x))


def _nested(function: Callable[[Array], Array], order: int) -> Callable[[Array], tuple[Array, ...]]:
    """The value and `order` derivatives by JAX's rules, as a function."""
    if order == 0:
        return lambda x: (function(x),)
    lower = _nested(function, order - 1)

    def derivatives(x: Array) -> tuple[Array, ...]:
        found, slopes = jax.jvp(lower, (x,), (jnp.ones_like(x),))
        return (*found, slopes[-1])

    return derivatives
