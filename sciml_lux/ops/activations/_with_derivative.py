"""with_derivative: an elementwise function that has another one as its derivative."""

from collections.abc import Callable

import jax
from jaxtyping import Array

Elementwise = Callable[[Array], Array]


def with_derivative(
    derivative: Callable[[Array, Array], Array],
) -> Callable[[Elementwise], Elementwise]:
    """A decorator: a function of each entry of a real array, with dy/dx = derivative(x, y).

    The formula of a value is seldom one to differentiate: 1 - tanh² has no digits left where tanh
    is close to 1. As `derivative` is differentiated in turn, it is made of functions that have
    derivatives of their own, or of sums of products.
    """

    def decorate(function: Elementwise) -> Elementwise:
        exact = jax.custom_jvp(function)
        exact.defjvps(lambda dx, y, x: derivative(x, y) * dx)
        # Inlined, it leaves no trace in a program; eagerly it is one operation.
        return jax.jit(exact, inline=True)

    return decorate
