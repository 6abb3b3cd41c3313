"""Problems with a mass matrix: differential-algebraic equations, derivatives, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import needs_x64
from tests.ode.problems import PROBLEMS

slow = pytest.mark.slow
METHOD = ode.Method(solver=ode.Rodas5P(), rtol=1e-9, atol=1e-11)
RATES = (0.04, 1e4, 3e7)
MASS = np.diag([1.0, 1.0, 0.0])
REGULAR = np.asarray([[2.0, 0.3], [-0.1, 1.5]])


def robertson(t, u, rates):
    slow, back, fast = rates[0] * u[0], rates[1] * u[1] * u[2], rates[2] * u[1] ** 2
    return jnp.stack([back - slow, slow - back - fast, fast])


def with_constraint(t, u, rates):
    """The same, with what is conserved in place of the last equation."""
    return robertson(t, u, rates).at[2].set(jnp.sum(u) - 1)


def simple(t, u, args):
    """u₁' = -u₂, 0 = u₂ - args u₁: u₁ = exp(-args t)."""
    return jnp.stack([-u[1], u[1] - args * u[0]])


def problem(start, last, mass, dtype=jnp.float64, **more):
    return ode.Problem(
        jnp.asarray(start, dtype), tspan=(0.0, last), mass_matrix=jnp.asarray(mass, dtype), **more
    )


def simple_end(rate, method=METHOD, **more):
    given = problem([1.0, 1.0], 1.0, np.diag([1.0, 0.0]), rate.dtype, **more)
    given = given.with_state(jnp.stack([jnp.ones_like(rate), rate]))
    return ode.solve(simple, given, rate, method=method)


@needs_x64
def test_robertson_with_a_constraint_ends_at_its_published_state():
    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-8, atol=1e-16)
    given = problem([1.0, 0.0, 0.0], 1e11, MASS)
    found = ode.solve(with_constraint, given, jnp.asarray(RATES), method=method)
    assert found.stats.engine.value == "lean"
    want = np.asarray(PROBLEMS["Robertson"].want)
    assert np.max(np.abs(found.final.u - want) / np.maximum(np.abs(want), 1e-8)) < 1e-7


@needs_x64
@slow
def test_gradient_with_a_constraint_is_that_without():
    def end(field, rates, **mass):
        given = ode.Problem(jnp.asarray([1.0, 0.0, 0.0]), tspan=(0.0, 40.0), **mass)
        method = ode.Method(solver=ode.Rodas5P(), rtol=1e-8, atol=1e-12)
        return ode.solve(field, given, rates, method=method).final.u[1]

    rates = jnp.asarray(RATES)
    found = jax.grad(lambda p: end(with_constraint, p, mass_matrix=jnp.asarray(MASS)))(rates)
    want = jax.grad(lambda p: end(robertson, p))(rates)
    np.testing.assert_allclose(found, want, rtol=1e-5)


def regular(t, u, args):
    return jnp.stack([-u[0] + u[1] * jnp.sin(t), -u[0] * u[1]])


def solved_for(t, u, mass):
    return jnp.linalg.solve(mass, regular(t, u, None))


@needs_x64
@pytest.mark.parametrize("derivative", [jax.grad, pytest.param(jax.hessian, marks=slow)])
def test_derivatives_by_the_matrix_are_those_of_its_inverse_in_the_field(derivative):
    def end(mass):
        given = problem([1.0, 0.5], 2.0, REGULAR)
        given.mass_matrix = mass
        return ode.solve(regular, given, method=METHOD).final.u[0]

    def end_of_solved(mass):
        given = ode.Problem(jnp.asarray([1.0, 0.5]), tspan=(0.0, 2.0))
        return ode.solve(solved_for, given, mass, method=METHOD).final.u[0]

    mass = jnp.asarray(REGULAR)
    found, want = (jax.jit(derivative(f))(mass) for f in (end, end_of_solved))
    np.testing.assert_allclose(found, want, rtol=1e-6, atol=1e-9)


def test_algebraic_state_follows_in_every_precision(dtype):
    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-4, atol=1e-4)
    found = simple_end(jnp.asarray(0.7, dtype), method).final.u
    np.testing.assert_allclose(found, np.exp(-0.7) * np.asarray([1, 0.7]), rtol=1e-3)


@needs_x64
@slow
def test_wanted_times_and_dense_states_have_the_algebraic_state_too():
    method = ode.Method(solver=ode.Rodas5P(), rtol=1e-9, atol=1e-11, dense=True, max_steps=128)
    rate = jnp.asarray(0.7)
    found = simple_end(rate, method, ts=jnp.asarray([0.0, 0.3, 1.0]))
    for t, u in zip([0.0, 0.3, 1.0, 0.55], [*found.ys, found(0.55)], strict=True):
        np.testing.assert_allclose(u, np.exp(-0.7 * t) * np.asarray([1, 0.7]), rtol=1e-6)


@needs_x64
def test_derivative_of_an_algebraic_equation_is_that_of_its_solution():
    found = jax.jit(jax.value_and_grad(lambda r: simple_end(r).final.u[1]))(jnp.asarray(0.7))
    np.testing.assert_allclose(found, [0.7 * np.exp(-0.7), 0.3 * np.exp(-0.7)], rtol=1e-6)


@needs_x64
@slow
def test_trajectories_of_an_ensemble_share_the_matrix_or_have_their_own():
    rates = jnp.asarray([0.5, 1.0])
    starts = jnp.stack([jnp.ones(2), rates], axis=1)
    one = jnp.diag(jnp.asarray([1.0, 0.0]))
    for masses, scale in ((one, [1, 1]), (jnp.stack([one, 2 * one]), [1, 2])):
        given = ode.Problem(starts, tspan=(0.0, 1.0), mass_matrix=masses)
        found = ode.solve_ensemble(simple, given, rates, method=METHOD).final.u[:, 0]
        np.testing.assert_allclose(found, np.exp(-np.asarray(rates) / scale), rtol=1e-7)


def test_solve_of_no_length_ends_where_it_starts(dtype):
    given = problem([1.0, 0.5], 0.0, np.diag([1.0, 0.0]), dtype)
    found = ode.solve(
        simple, given, jnp.asarray(0.5, dtype), method=ode.Method(solver=ode.Rodas5P())
    )
    np.testing.assert_array_equal(found.final.u, [1.0, 0.5])


@pytest.mark.parametrize(
    ("field", "start"),
    [
        (simple, [1.0, 0.6]),  # Not where the algebraic equation holds.
        (lambda t, u, args: jnp.stack([-u[1], u[0] - 1]), [1.0, 0.0]),  # Index 2.
    ],
)
def test_start_that_is_not_consistent_fails_by_name(field, start, dtype):
    given = problem(start, 1.0, np.diag([1.0, 0.0]), dtype)
    method = ode.Method(solver=ode.Rodas5P())
    with pytest.raises(RuntimeError, match="does not fulfil the algebraic equations"):
        ode.solve(field, given, jnp.asarray(0.5, dtype), method=method)
    silent = ode.Method(solver=ode.Rodas5P(), throw=False)
    found = ode.solve(field, given, jnp.asarray(0.5, dtype), method=silent)
    assert found.result == ode.RESULTS.inconsistent_start
    assert np.isnan(found.final.u).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "got solver=Tsit5"),
        ({"solver": ode.Vern7()}, "got solver=Vern7"),
        ({"solver": ode.Rodas5P(), "estimates": True}, "got estimates=True"),
    ],
)
def test_method_without_mass_matrices_is_refused(options, text, dtype):
    given = problem([1.0, 0.5], 1.0, np.diag([1.0, 0.0]), dtype)
    with pytest.raises(ValueError, match=f"expects solver=ode.Rodas5P.*{text}"):
        ode.solve(simple, given, jnp.asarray(0.5, dtype), method=ode.Method(**options))


def test_running_cost_and_events_are_refused(dtype):
    given = problem([1.0, 0.5], 1.0, np.diag([1.0, 0.0]), dtype)
    method = ode.Method(solver=ode.Rodas5P())
    solve = lambda **more: ode.solve(simple, given, jnp.asarray(0.5, dtype), method=method, **more)
    with pytest.raises(ValueError, match="got a running cost"):
        solve(running_cost=lambda t, u, du, args: u[0])
    with pytest.raises(ValueError, match="got events"):
        solve(events=(ode.Event(lambda t, u, args: u[0] - 0.5),))


@pytest.mark.parametrize(
    "adjoint",
    [
        ode.GaussAdjoint(),
        ode.InterpolatingAdjoint(),
        ode.ForwardSensitivity(),
        ode.SteadyStateAdjoint(),
    ],
    ids=repr,
)
def test_adjoint_of_a_field_alone_is_refused(adjoint, dtype):
    given = problem([1.0, 0.5], 1.0, np.diag([1.0, 0.0]), dtype)
    method = ode.Method(solver=ode.Rodas5P(), adjoint=adjoint)
    with pytest.raises(ValueError, match=r"with a `mass_matrix`. Take ode.DiscreteAdjoint\(\)"):
        ode.solve(simple, given, jnp.asarray(0.5, dtype), method=method)


@pytest.mark.parametrize(
    ("start", "mass", "error", "text"),
    [
        (np.ones(2), np.ones((2, 3)), ValueError, r"shape \(2, 2\), got \(2, 3\)"),
        (np.ones((3, 2)), np.eye(2), ValueError, "a state of one axis"),
        (np.ones(2, complex), np.eye(2), TypeError, "a state of one real array"),
        ({"a": np.ones(2)}, np.eye(2), TypeError, "a state of one real array"),
        (np.ones(2), np.eye(2, dtype=int), TypeError, "in the dtype of the state"),
    ],
)
def test_matrix_that_does_not_fit_is_refused(start, mass, error, text, dtype):
    wide = {"complex128": jnp.result_type(complex)}
    start = jax.tree.map(lambda x: jnp.asarray(x, wide.get(x.dtype.name, dtype)), start)
    mass = jnp.asarray(mass, dtype if mass.dtype.kind == "f" else None)
    given = ode.Problem(start, tspan=(0.0, 1.0), mass_matrix=mass)
    with pytest.raises(error, match=text):
        ode.solve(lambda t, u, args: u, given, method=ode.Method(solver=ode.Rodas5P()))


def test_matrix_is_a_copy_of_numpys_memory(dtype):
    mass = np.eye(2, dtype=dtype)
    given = ode.Problem(jnp.ones(2, dtype), tspan=(0.0, 1.0), mass_matrix=mass)
    mass[:] = 0
    np.testing.assert_array_equal(given.mass_matrix, np.eye(2))


def test_layer_takes_it_with_the_problem(dtype):
    node = ode.NeuralODE(nn.Dense(2, 2, jnp.tanh), (0.0, 1.0), solver=ode.Rodas5P())
    half = ode.NeuralODE(nn.Dense(2, 2, jnp.tanh), (0.0, 0.5), solver=ode.Rodas5P())
    ps, st = lux.setup(0, node, dtype=dtype)
    x = jnp.asarray([0.3, -0.2], dtype)
    found = node(ode.Problem(x, mass_matrix=2 * jnp.eye(2, dtype=dtype)), ps, st)[0]
    np.testing.assert_allclose(found, half(x, ps, st)[0], rtol=1e-4)
