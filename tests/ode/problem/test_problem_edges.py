"""Problems at their edges: ends of controls, of dense solutions and of samples; equal functions."""

import dataclasses

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode, precision
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


@needs_x64
def test_signal_may_be_narrower_than_the_state_and_not_wider():
    def end(u0, values):
        signal = ode.Interpolated([0.0, 1.0], values)
        problem = ode.Problem(u0, tspan=(0.0, 1.0), inputs={"x": signal})
        return ode.solve(lambda t, u, args, inputs: inputs.x(t)[None], problem).ys[-1, 0]

    rising = jnp.asarray([1.0, 2.0], jnp.float32)
    for dtype in (jnp.float32, jnp.float64):
        found = end(jnp.zeros(1, dtype), rising.astype(dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(found, 1.5, rtol=1e-6)
    node = ode.NeuralODE(nn.Dense(2, 1), (0.0, 1.0))
    ps, st = lux.setup(jax.random.key(0), node, dtype=jnp.float64)
    for values in (rising, rising.astype(jnp.float64)):
        inputs = {"x": ode.Interpolated([0.0, 1.0], values)}
        assert node(ode.Problem(jnp.zeros(1), inputs=inputs), ps, st)[0].dtype == jnp.float64
    with pytest.raises(TypeError, match="input `x` to be of the dtype of the state, float32, or a"):
        end(jnp.zeros(1, jnp.float32), rising.astype(jnp.float64))


@needs_x64
def test_times_of_a_signal_that_the_clock_cannot_tell_apart_are_refused():
    signal = ode.Interpolated([1e9, 1e9 + 1.0], jnp.ones(2, jnp.float32))
    problem = ode.Problem(jnp.ones(1, jnp.float32), tspan=(0.0, 1.0), inputs={"x": signal})
    with pytest.raises(ValueError, match="`Interpolated` expects increasing `times`, got .*1.e"):
        ode.solve(lambda t, u, args, inputs: u, problem)


@any_precision
def test_arguments_that_are_not_arrays_are_named(dtype):
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    arguments = {"rate": 2.0, "name": "decay"}
    with pytest.raises(TypeError, match="`args` to be a tree of arrays, got 'decay' at `name`. Le"):
        ode.solve(lambda t, u, args: -u, problem, arguments)
    with pytest.raises(TypeError, match="`args` to be a tree of arrays, got <.*>. Let `field` clo"):
        ode.solve(lambda t, u, f: -f(u), problem, jnp.sin)


@any_precision
def test_problem_of_one_time_or_of_signals_without_names_is_refused(dtype):
    u0 = jnp.ones(1, dtype)
    with pytest.raises(TypeError, match=r"`tspan` to be the pair \(t0, t1\) of numbers, got 1.0"):
        ode.Problem(u0, tspan=1.0)
    with pytest.raises(TypeError, match="`inputs` to be signals by name, got list. Write"):
        ode.Problem(u0, tspan=(0.0, 1.0), inputs=[ode.Interpolated([0.0, 1.0], [0.0, 1.0])])


@any_precision
def test_list_for_a_state_that_is_an_array_is_refused_with_the_remedy(dtype):
    problem = ode.Problem(jnp.ones(2, dtype), tspan=(0.0, 1.0))
    with pytest.raises(ValueError, match=r"got PyTreeDef.*Stack its parts: jnp.stack\(\[...\]\)"):
        ode.solve(lambda t, u, args: [u[1], -u[0]], problem)


@any_precision
@pytest.mark.parametrize("mode", ["none", "warn"])  # With "warn" the solve is not compiled.
def test_argument_may_be_a_number(mode, dtype):
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    with precision.match_eltype(mode):
        found = ode.solve(lambda t, u, rate: -rate * u, problem, 2.0).ys
    assert found.dtype == dtype
    np.testing.assert_allclose(found[-1], np.exp(-2), rtol=1e-5)
