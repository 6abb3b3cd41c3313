"""Problems at their edges: ends of controls, of dense solutions and of samples; equal functions."""

import dataclasses

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ode
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision

METHODS = [
    ode.Method(),
    ode.Method(adjoint=diffrax.RecursiveCheckpointAdjoint()),
    ode.Method(solver=diffrax.Heun(), stepsize_controller=diffrax.ConstantStepSize(), dt0=1.0),
]


@any_precision
@pytest.mark.parametrize("method", METHODS, ids=["lean", "diffrax", "fixed"])
def test_derivatives_by_times_where_a_control_ends(method, dtype):
    values = jnp.asarray([1.0, 2.0], dtype)  # u' = 1 + t, so that u(t1) = t1 + t1²/2.

    def end(t0, t1, times):
        signal = ode.Interpolated(times, values)
        problem = ode.Problem(jnp.zeros(1, dtype), tspan=(t0, t1), inputs={"x": signal})
        field = lambda t, u, args, inputs: inputs.x(t)[None]
        return ode.solve(field, problem, method=method).ys[-1, 0]

    arguments = jnp.asarray(0.0, dtype), jnp.asarray(1.0, dtype), jnp.asarray([0.0, 1.0], dtype)
    by_t0, by_t1, by_times = jax.jit(jax.grad(end, (0, 1, 2)))(*arguments)
    np.testing.assert_allclose([by_t0, by_t1], [-1.0, 2.0], rtol=1e-5)
    np.testing.assert_allclose(by_times, [-0.5, -0.5], rtol=1e-5)


@any_precision
@pytest.mark.parametrize("method", METHODS[:2], ids=["lean", "diffrax"])
def test_dense_solution_at_its_ends_and_at_many_times(method, dtype):
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    dense = dataclasses.replace(method, dense=True, max_steps=64)
    solution = ode.solve(lambda t, u, args: -u, problem, method=dense)
    ts = jnp.asarray([0.0, 0.3, 1.0], dtype)
    slopes = jax.vmap(jax.grad(lambda t: solution(t)[0]))(ts)
    np.testing.assert_allclose(slopes, -np.exp(-np.asarray(ts)), rtol=1e-3)
    assert solution(ts[None]).shape == (1, 3, 1)
    np.testing.assert_array_equal(solution([0.0, 0.3])[1], solution(0.3))


@any_precision
def test_failing_sample_with_its_own_control_says_why(dtype):
    signal = ode.Interpolated([[0.0, 1.0], [0.0, 1.0]], jnp.ones((2, 2), dtype))
    ends = jnp.asarray([0.5, 2.0], dtype)
    problem = ode.Problem(jnp.ones((2, 1), dtype), tspan=(0.0, ends), inputs={"x": signal})
    field = lambda t, u, args, inputs: -1e5 * u * inputs.x(t)
    with pytest.raises(RuntimeError, match=r"\(sample 0\) took max_steps=50 steps"):
        ode.solve(field, problem, method=ode.Method(max_steps=50, rtol=1e-4, atol=1e-4))


@any_precision
def test_functions_that_are_equal_but_not_the_same(dtype):
    @dataclasses.dataclass(frozen=True)
    class Decay:
        rate: float

        def __call__(self, t, u, args):
            return -self.rate * u

    one, two = (ode.Problem(jnp.ones(n, dtype), tspan=(0.0, 1.0)) for n in (1, 2))
    kept, other = Decay(1.0), ode.Method(rtol=1e-4)
    ode.solve(kept, one)
    ode.solve(Decay(1.0), one, method=other)  # Which is freed, and must not be asked for again.
    assert ode.solve(kept, two, method=other).ys.shape == (1, 2)


@needs_x64
def test_ends_that_float32_rounds_inwards_are_met():
    ts = jnp.linspace(0.1, 0.7, 7, dtype=jnp.float32)
    problem = ode.Problem(jnp.ones(1, jnp.float32), ts=ts, tspan=(0.1, 0.7))
    found = ode.solve(lambda t, u, args: -u, problem).ys
    np.testing.assert_allclose(found[-1], np.exp(-0.6), rtol=1e-5)


@any_precision
def test_no_wanted_times_are_refused(dtype):
    for tspan in (None, (0.0, 1.0)):
        problem = ode.Problem(jnp.ones(1, dtype), ts=jnp.zeros(0, dtype), tspan=tspan)
        with pytest.raises(ValueError, match=r"expects at least one time in `ts`, got the shape"):
            ode.solve(lambda t, u, args: -u, problem)
