"""What a gradient of a solve takes, whichever part of the state the field reads."""

import jax.numpy as jnp
import pytest

from sciml_lux import ode
from tests.ode.events.systems import DTYPE

pytestmark = pytest.mark.any_precision


@pytest.mark.parametrize(
    "field",
    [lambda t, u, args: (u[1], -u[1]), lambda t, u, args: (t * jnp.ones(2, DTYPE), 0 * u[0])],
    ids=["second leaf", "time"],
)
def test_evaluations_are_counted_whatever_the_field_reads(field):
    problem = ode.Problem((jnp.ones(2, DTYPE), jnp.ones(2, DTYPE)), tspan=(0.0, 1.0))
    method = ode.Method(kernel="never")  # By arrays, as what counts is solved.
    cost = ode.adjoint_cost(field, problem, method=method)
    solution = ode.solve(field, problem, method=method)
    assert cost.solve_evaluations == int(solution.stats.num_field_evaluations)
