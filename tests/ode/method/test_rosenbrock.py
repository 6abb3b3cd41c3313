"""Rodas5P: stiff problems on the lean engine, their derivatives, and where diffrax solves."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import needs_x64
from tests.ode.problems import PROBLEMS, robertson

slow = pytest.mark.slow
END = 1.5
RATE = 1e3
METHOD = ode.Method(solver=ode.Rodas5P(), rtol=1e-8, atol=1e-10)
STIFF = [name for name, problem in PROBLEMS.items() if problem.stiff and problem.want]


def relaxing(t, u, rate):
    """Towards the cosine, fast."""
    return -rate * (u - jnp.cos(t).astype(u.dtype))


def relaxed(rate, t=END):
    """The solution of `relaxing` from 0."""
    start = jnp.exp(-rate * t)
    return (rate * rate * (jnp.cos(t) - start) + rate * jnp.sin(t)) / (1 + rate * rate)


def end(rate, method=METHOD, **options):
    problem = ode.Problem(jnp.zeros(1, rate.dtype), tspan=(0.0, END), **options)
    return ode.solve(relaxing, problem, rate, method=method).final.u[0]


def joined(field):
    return lambda t, u, args: jnp.concatenate([jnp.atleast_1d(part) for part in field(t, u)])


@needs_x64
@pytest.mark.parametrize(
    "name", [name if name == "Robertson" else pytest.param(name, marks=slow) for name in STIFF]
)
def test_stiff_problem_ends_at_its_published_state(name):
    problem = PROBLEMS[name]
    atol, want = 1e-8 * problem.atol, np.asarray(problem.want)
    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-8, atol=atol, max_steps=20_000)
    given = ode.Problem(jnp.asarray(problem.u0, float), tspan=(0.0, problem.t1))
    found = ode.solve(joined(problem.field), given, method=method)
    assert found.stats.engine.value == "lean"
    error = np.abs(found.final.u - want) / np.maximum(np.abs(want), problem.atol)
    assert error.max() < 1e-6


@needs_x64
def test_states_at_wanted_times_are_those_of_the_solution():
    ts = jnp.linspace(0.0, END, 40)
    problem = ode.Problem(jnp.zeros(1), ts=ts)
    found = ode.solve(relaxing, problem, jnp.asarray(20.0), method=METHOD)
    np.testing.assert_allclose(found.ys[:, 0], relaxed(20.0, ts), atol=1e-7)


@needs_x64
def test_dense_solution_is_as_exact_between_the_steps():
    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-8, atol=1e-10, dense=True, max_steps=256)
    problem = ode.Problem(jnp.zeros(1), tspan=(0.0, END))
    found = ode.solve(relaxing, problem, jnp.asarray(20.0), method=method)
    np.testing.assert_allclose(found(0.73)[0], relaxed(20.0, 0.73), atol=1e-7)


@needs_x64
@pytest.mark.parametrize(
    "adjoint",
    [
        ode.DiscreteAdjoint(),
        pytest.param(ode.InterpolatingAdjoint(), marks=slow),
        pytest.param(ode.GaussAdjoint(), marks=slow),
        pytest.param(ode.ForwardSensitivity(), marks=slow),
        pytest.param(ode.ForwardSensitivity(control_error=True), marks=slow),
        pytest.param(diffrax.RecursiveCheckpointAdjoint(), marks=slow),
        pytest.param(diffrax.DirectAdjoint(), marks=slow),
    ],
    ids=repr,
)
def test_gradient_of_a_stiff_solve_is_that_of_the_solution(adjoint):
    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-8, atol=1e-10, adjoint=adjoint)
    found = jax.jit(jax.grad(lambda rate: end(rate, method)))(jnp.asarray(RATE))
    np.testing.assert_allclose(found, jax.grad(relaxed)(RATE), rtol=1e-6)


@pytest.mark.parametrize("adjoint", [ode.BacksolveAdjoint(), ode.ReversibleAdjoint()], ids=repr)
def test_adjoint_that_goes_back_over_stiff_steps_is_refused(adjoint, dtype):
    method = ode.Method(solver=ode.Rodas5P(), adjoint=adjoint)
    text = rf"{type(adjoint).__name__}. does not differentiate a solve with solver=Rodas5P\(\)"
    with pytest.raises(ValueError, match=text):
        end(jnp.ones((), dtype), method)


def test_auto_does_not_choose_steps_that_are_undone(dtype):
    method = ode.Method(solver=ode.Rodas5P(), adjoint=ode.AutoAdjoint(1))
    problem = ode.Problem(jnp.zeros(1, dtype), tspan=(0.0, END))
    found = ode.solve(relaxing, problem, jnp.ones((), dtype), method=method)
    assert found.stats.adjoint.value == "DiscreteAdjoint"


@needs_x64
@slow
@pytest.mark.parametrize(
    "second", [lambda f: jax.jacfwd(jax.grad(f)), lambda f: jax.grad(jax.grad(f))]
)
def test_second_derivative_is_that_of_the_solution_in_any_nesting(second):
    found = jax.jit(second(end))(jnp.asarray(RATE))
    np.testing.assert_allclose(found, jax.grad(jax.grad(relaxed))(RATE), rtol=1e-5)


@needs_x64
@slow
def test_batch_under_vmap_is_its_members():
    rates = jnp.asarray([1.0, 30.0, 1e4])
    both = jax.value_and_grad(end)
    found = jax.jit(jax.vmap(both))(rates)
    each = [jax.jit(both)(rate) for rate in rates]
    for part, want in zip(found, zip(*each, strict=True), strict=True):
        np.testing.assert_allclose(part, jnp.stack(want), rtol=1e-9)


def test_gradient_under_scan_is_that_outside(dtype):
    rates = jnp.asarray([1.0, 30.0], dtype)
    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-4, atol=1e-4)
    both = jax.grad(lambda rate: end(rate, method))
    found = jax.jit(lambda rates: jax.lax.map(both, rates))(rates)
    np.testing.assert_allclose(found, jax.vmap(jax.grad(relaxed))(rates), atol=2e-3)


@slow
@pytest.mark.parametrize("half", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_solved_in_float32_between_the_evaluations(half):
    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-2, atol=1e-2)
    found = end(jnp.asarray(8.0, half), method)
    assert found.dtype == half
    np.testing.assert_allclose(float(found), relaxed(8.0), atol=0.02)


@needs_x64
def test_complex_state_in_a_tree_turns_as_its_exponential():
    start = {"a": jnp.ones((), complex), "b": (jnp.zeros(0, complex), jnp.ones((2, 1), complex))}

    def field(t, u, args):
        return {"a": 1j * u["a"] + 0.5 * jnp.conj(u["a"]), "b": (u["b"][0], -u["b"][1])}

    found = ode.solve(field, ode.Problem(start, tspan=(1.0, 0.0)), method=METHOD).final.u
    # With a = x + iy: dx/dt = x/2 - y, dy/dt = x - y/2, from (1, 0), backwards over 1.
    matrix = np.asarray([[0.5, -1.0], [1.0, -0.5]])
    rate = np.sqrt(3) / 2
    x, y = np.cos(rate) * np.asarray([1.0, 0.0]) - np.sin(rate) / rate * matrix[:, 0]
    np.testing.assert_allclose(found["a"], x + 1j * y, rtol=1e-7)
    np.testing.assert_allclose(found["b"][1], np.full((2, 1), np.e), rtol=1e-7)


@needs_x64
@slow
def test_diffrax_solves_where_the_lean_engine_does_not():
    steps = diffrax.ClipStepSizeController(
        diffrax.PIDController(rtol=1e-8, atol=1e-10), step_ts=jnp.asarray([0.5])
    )
    method = ode.Method(solver=ode.Rodas5P(), stepsize_controller=steps)
    problem = ode.Problem(jnp.zeros(1), ts=jnp.asarray([0.0, 0.3, END]))
    found = ode.solve(relaxing, problem, jnp.asarray(20.0), method=method)
    assert found.stats.engine.value == "diffrax"
    want = relaxed(20.0, jnp.asarray([0.0, 0.3, END]))
    np.testing.assert_allclose(found.ys[:, 0], want, atol=1e-6)


@needs_x64
@slow
def test_diffrax_solves_backwards_with_it():
    found = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, args: y * jnp.cos(t)),
        ode.Rodas5P(),
        3.0,
        0.0,
        -0.1,
        jnp.exp(jnp.sin(jnp.asarray(3.0))),
        stepsize_controller=diffrax.PIDController(rtol=1e-8, atol=1e-8),
    )
    np.testing.assert_allclose(found.ys[-1], 1.0, rtol=1e-7)


@slow
def test_neural_ode_solves_and_learns_with_it(dtype):
    node = ode.NeuralODE(nn.Dense(2, 2, jnp.tanh), (0.0, 1.0), solver=ode.Rodas5P())
    ps, st = lux.setup(0, node, dtype=dtype)
    x = jnp.asarray([[0.3, -0.2], [1.0, 0.5]], dtype)
    explicit = ode.NeuralODE(nn.Dense(2, 2, jnp.tanh), (0.0, 1.0))

    def loss(node, ps):
        return jnp.sum(jnp.square(node(x, ps, st)[0]))

    found, want = (jax.jit(jax.grad(lambda ps, n=n: loss(n, ps)))(ps) for n in (node, explicit))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), found, want)


def test_an_event_ends_a_stiff_solve_at_its_time(dtype):
    event = ode.Event(lambda t, u, args: u[0] - 0.5, direction=-1)
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, END))
    found = ode.solve(
        relaxing, problem, jnp.asarray(100.0, dtype), method=ode.Method(solver=ode.Rodas5P()),
        events=(event,),
    )  # fmt: skip
    # cos t + sin t / 100 = 0.5, but for 1e-4.
    np.testing.assert_allclose(found.events.times[0], np.pi / 3 + 0.01, atol=2e-4)


@needs_x64
def test_a_second_call_compiles_nothing():
    traced = []

    def field(t, u, args):
        traced.append(t)
        return joined(robertson)(t, u, args)

    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-5, atol=1e-10)
    counts = []
    for last in (10.0, 20.0):
        problem = ode.Problem(jnp.asarray([1.0, 0.0, 0.0]), tspan=(0.0, last))
        ode.solve(field, problem, method=method)
        counts.append(len(traced))
    assert counts[0] == counts[1] > 0


def test_too_few_steps_are_not_laid_to_stiffness(dtype):
    method = ode.Method(solver=ode.Rodas5P(), max_steps=3)
    with pytest.raises(RuntimeError, match="Raise `max_steps`, or loosen `rtol` and `atol`"):
        end(jnp.asarray(100.0, dtype), method)
