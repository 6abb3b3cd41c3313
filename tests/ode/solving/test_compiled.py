"""Programs are compiled once for a function, also for a method of an object."""

import jax.numpy as jnp
import pytest

from sciml_lux import ode
from tests.ode.events.systems import DTYPE

pytestmark = pytest.mark.any_precision


def test_acceleration_that_is_a_method_is_compiled_once():
    traced = []

    class Spring:
        def acceleration(self, t, q, args):
            traced.append(1)
            return -q

    spring = Spring()
    start = ode.Phase(q=jnp.ones((), DTYPE), p=jnp.zeros((), DTYPE))
    problem = ode.Problem(start, tspan=(0.0, 0.1))
    method = ode.Method(solver=ode.Leapfrog(), dt0=0.1)
    ode.solve(ode.second_order(spring.acceleration), problem, method=method)
    count = len(traced)
    ode.solve(ode.second_order(spring.acceleration), problem, method=method)
    assert len(traced) == count
