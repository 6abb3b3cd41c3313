"""The normal distribution function and its density, which keep their digits in the tails."""

import math

import jax.numpy as jnp
from jaxtyping import Array

from ...precision import accumulating
from ._two_parts import decay_of_half_square
from ._with_derivative import with_derivative

# (t + 3/4) (1 - Φ(t)) / φ(t) as a polynomial of (t - 4) / (t + 4), for t from 0 to 40: its
# interpolation in 24 Chebyshev points, within 5e-17.
_RATIO = (
    1.1240988188394132,
    -0.13561873383029283,
    -0.04285125931798556,
    0.11662643488468201,
    -0.1000496573451945,
    0.050280760740727716,
    -0.012857170978359608,
    -0.0011162681496820351,
    0.0018591490705921951,
    -0.00020815424411750402,
    -0.00023816792627925765,
    5.036356810406474e-05,
    3.685419941300019e-05,
    -8.083511066482903e-06,
    -6.963717915457283e-06,
    8.849586953872971e-07,
    1.4419905720774538e-06,
    3.6353292128652706e-08,
    -2.83424571141494e-07,
    -5.679528155224222e-08,
    4.375554559017301e-08,
    1.651530980523411e-08,
    -3.648832611666335e-09,
    -1.980598003815402e-09,
)


@with_derivative(lambda x, density: -x * density)
def normal_density(x: Array) -> Array:
    """φ(x) = e^(-x²/2) / √(2π)."""
    return decay_of_half_square(x) * (1 / math.sqrt(2 * math.pi))


@with_derivative(lambda x, _: normal_density(x))
def normal_distribution(x: Array) -> Array:
    """Φ(x), from the density and its ratio to the tail that is left."""
    return accumulating(_distribution, x)


def _distribution(x: Array) -> Array:
    size = jnp.abs(x)
    place, ratio = (size - 4) / (size + 4), jnp.zeros_like(x)
    for coefficient in reversed(_RATIO):
        ratio = ratio * place + coefficient
    tail = normal_density(x) * (ratio / (size + 0.75))
    return jnp.where(x < 0, tail, 1 - tail)
