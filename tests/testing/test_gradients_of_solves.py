"""Gradients of adaptive solves, whose steps change where differences are taken."""

import jax
import jax.numpy as jnp
import pytest

from sciml_lux import ode, testing
from tests.conftest import needs_x64

pytestmark = [needs_x64, pytest.mark.traced]
TOLERANCE = 1e-5
METHOD = ode.Method(rtol=TOLERANCE, atol=TOLERANCE)
U0, RATE = jnp.asarray([0.5, 1.5]), jnp.asarray(2.0)


@jax.jit
def loss(u0, rate):
    field = lambda t, u, rate: jnp.stack([u[1], -rate * jnp.sin(u[0])])
    solution = ode.solve(field, ode.Problem(u0, tspan=(0.0, 2.0)), rate, method=METHOD)
    return jnp.sum(solution.ys)


@jax.custom_jvp
def a_thousandth_too_steep(y):
    return y


@a_thousandth_too_steep.defjvp
def _(primals, tangents):
    return *primals, 1.001 * tangents[0]


@pytest.mark.parametrize("mode", ["reverse", "forward", "nested"])
def test_right_gradient_passes_at_the_tolerance_of_the_solve(mode):
    testing.test_gradients(loss, U0, RATE, modes=(mode,), solve_tolerance=TOLERANCE)


def test_change_of_steps_is_a_wrong_gradient_where_it_is_not_told():
    with pytest.raises(AssertionError, match="central differences give"):
        testing.test_gradients(loss, U0, RATE, modes=("forward",))


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_wrong_gradient_is_found_beyond_the_tolerance(mode):
    wrong = lambda u0, rate: a_thousandth_too_steep(loss(u0, rate))
    with pytest.raises(AssertionError, match=f"the {mode} derivative is"):
        testing.test_gradients(wrong, U0, RATE, modes=(mode,), solve_tolerance=TOLERANCE)


@pytest.mark.parametrize(
    ("tolerance", "error"), [(-1e-6, ValueError), (jnp.nan, ValueError), ("1e-5", TypeError)]
)
def test_tolerance_that_makes_no_sense_is_named(tolerance, error):
    with pytest.raises(error, match="`test_gradients` expects `solve_tolerance` to be"):
        testing.test_gradients(jnp.sum, U0, solve_tolerance=tolerance)
