"""Rodas5P: stiff problems on the lean engine, their derivatives, and where diffrax solves."""

import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ode
from tests.conftest import needs_x64
from tests.ode.problems import PROBLEMS

any_precision = pytest.mark.any_precision
RATE = 1e3
END = 1.5
METHOD = ode.Method(solver=ode.Rodas5P(), rtol=1e-8, atol=1e-10)


def relaxing(t, u, rate):
    """Towards the cosine, fast."""
    return -rate * (u - jnp.cos(t))


def relaxed(rate, t):
    """The solution of `relaxing` from 0."""
    moving = rate * rate * jnp.cos(t) + rate * jnp.sin(t)
    return (moving - rate * rate * jnp.exp(-rate * t)) / (1 + rate * rate)


def end(rate, method=METHOD):
    problem = ode.Problem(jnp.zeros(1, rate.dtype), tspan=(0.0, END))
    return ode.solve(relaxing, problem, rate, method=method).final.u[0]


@needs_x64
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) for name in PROBLEMS if PROBLEMS[name].stiff],
)
def test_stiff_problem_ends_at_its_published_state(name):
    problem = PROBLEMS[name]
    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-8, atol=1e-8 * problem.atol, max_steps=20_000)
    given = ode.Problem(jnp.asarray(problem.u0), tspan=(0.0, problem.t1))

    def field(t, u, args):
        return jnp.concatenate([jnp.atleast_1d(part) for part in problem.field(t, u)])

    found = ode.solve(field, given, method=method)
    assert found.stats.engine.value == "lean"
    want = np.asarray(problem.want)
    error = np.abs(found.final.u - want) / np.maximum(np.abs(want), problem.atol)
    assert error.max() < 1e-5
