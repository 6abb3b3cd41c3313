"""Engines beside the lean one with what a solve can have, and their adjoints: right, or refused."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ode
from tests.conftest import needs_x64, slow

from .cells import ADJOINTS, EVENTS, adaptive_program, differences, points
from .features import FEATURES, X

pytestmark = [pytest.mark.traced, needs_x64]
TOLERANCE = 1e-9
OURS = {name: adjoint for name, adjoint in ADJOINTS.items() if name not in ("discrete", "auto")}
OURS |= {"steady state": ode.SteadyStateAdjoint()}
BY_ERROR = {"rtol": TOLERANCE, "atol": TOLERANCE, "max_steps": 256}


@pytest.mark.parametrize("name", OURS)
def test_implicit_solver_refuses_an_adjoint_of_the_lean_engine_by_name(name):
    method = ode.Method(adjoint=OURS[name], solver=diffrax.Kvaerno5(), **BY_ERROR)
    words = rf"`{type(OURS[name]).__name__}` expects a solve of the lean engine, got solver=Kvaer"
    with pytest.raises(ValueError, match=words):
        FEATURES["end"](jnp.asarray(X), method)


@pytest.mark.parametrize("feature", sorted(EVENTS))
def test_steady_state_refuses_events(feature):
    method = ode.Method(adjoint=ode.SteadyStateAdjoint())
    words = "has `events`, with which adjoint=SteadyStateAdjoint is not possible. Leave it out"
    with pytest.raises(ValueError, match=words):
        FEATURES[feature](jnp.asarray(X), method)


def spring(t, u, p):
    """A force that depends on the time, and is not linear."""
    return ode.Phase(u.p * p[1:2], p[0] * jnp.sin(p[2] * t) - p[3] * jnp.sin(u.q))


def oscillator(x, method, ts=None, tspan=(0.0, 1.2)):
    problem = ode.Problem(ode.Phase(x[:1], x[1:2]), ts=ts, tspan=tspan)
    return ode.solve(spring, problem, x, method=method)


def phase_end(x, method):
    final = oscillator(x, method).final.u
    return jnp.sum(jnp.sin(final.q) * final.p)


def phase_times(x, method):
    ts = jnp.stack([x[1] / 2, x[2], x[2]])
    ys = oscillator(x, method, ts, (x[0] / 8, x[3])).ys
    return jnp.sum(jnp.sin(ys.q)) + jnp.sum(ys.p**2)


def phase_backwards(x, method):
    return jnp.sum(oscillator(x, method, jnp.asarray([0.9, 0.4]), (1.2, 0.4)).ys.p)


def phase_members(x, method):
    one = lambda scale: phase_end(x * scale, method)
    return jnp.sum(jax.vmap(one)(jnp.asarray([0.5, 1.0, 1.5])))


def phase_dense(x, method):
    fields = {name: getattr(method, name) for name in ode.Method._field_names} | {"dense": True}
    solution = oscillator(x, ode.Method(**fields))
    return jnp.sum(solution(jnp.asarray([0.3, 0.9])).q)


PHASES = (phase_end, phase_times, phase_backwards, phase_members, phase_dense)
SYMPLECTIC = {
    "leapfrog": ode.Leapfrog(),
    "of order 4": ode.Yoshida4(),
    "of order 6": ode.Yoshida6(),
}


@pytest.mark.parametrize("solver", SYMPLECTIC)
@pytest.mark.parametrize(
    "feature", [f if f is phase_end else pytest.param(f, marks=slow) for f in PHASES]
)
def test_symplectic_gradient_is_the_derivative_of_the_steps(feature, solver):
    """As many as they are, at points close by."""
    method = ode.Method(solver=SYMPLECTIC[solver], dt0=0.07, max_steps=64)
    program = jax.jit(jax.value_and_grad(functools.partial(feature, method=method)))
    expected = differences(np.asarray([program(jnp.asarray(x))[0] for x in points()]))
    found = program(jnp.asarray(X))[1]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [*ADJOINTS, "steady state"])
def test_symplectic_solver_refuses_adjoints_by_name(name):
    adjoint = (ADJOINTS | OURS)[name]
    method = ode.Method(solver=ode.Leapfrog(), dt0=0.1, adjoint=adjoint)
    with pytest.raises(ValueError, match=rf"and no `adjoint`, got {type(adjoint).__name__}"):
        phase_end(jnp.asarray(X), method)


@pytest.mark.parametrize("feature", ["stop", "running cost", "estimates"])
def test_symplectic_solver_refuses_what_it_does_not_have_by_name(feature):
    method = ode.Method(solver=ode.Leapfrog(), dt0=0.1)
    option = {"stop": "events", "running cost": "running_cost"}.get(feature, feature)
    with pytest.raises(ValueError, match=f"and no `{option}`, got"):
        FEATURES[feature](jnp.asarray(X), method)


@slow
@pytest.mark.parametrize("name", ADJOINTS)
@pytest.mark.parametrize("feature", [phase_end, phase_times])
def test_second_order_problem_with_every_adjoint(feature, name):
    def gradient(adjoint, tolerance):
        method = ode.Method(adjoint=adjoint, rtol=tolerance, atol=tolerance, max_steps=256)
        return jax.jit(jax.grad(functools.partial(feature, method=method)))(jnp.asarray(X))

    np.testing.assert_allclose(gradient(ADJOINTS[name], 1e-9), finest(feature), atol=1e-6)


@functools.cache
def finest(feature):
    """The gradient of the equation, by differences."""
    method = ode.Method(rtol=1e-12, atol=1e-12, max_steps=512)
    value = jax.jit(functools.partial(feature, method=method))
    return differences(np.asarray([value(jnp.asarray(x)) for x in points()]))


THEIRS = {
    "checkpoints": diffrax.RecursiveCheckpointAdjoint(),
    "direct": diffrax.DirectAdjoint(),
    "backsolve": diffrax.BacksolveAdjoint(),
    "forward": diffrax.ForwardMode(),
    "implicit": diffrax.ImplicitAdjoint(),
}
# Each feature and each adjoint: a cell takes seconds to compile.
RIGHT = [
    ("stop", "checkpoints"),
    ("running cost", "checkpoints"),
    ("times of each sample", "checkpoints"),
    ("preset times", "checkpoints"),
    ("dense", "checkpoints"),
    ("end", "direct"),
    ("bounce", "direct"),
    ("samples", "direct"),
    ("backwards", "backsolve"),
    ("tree state", "backsolve"),
    ("members", "backsolve"),
    ("times", "forward"),
    ("control", "forward"),
    ("time input and state policy", "forward"),
    ("jump times", "forward"),
    ("events in one step", "forward"),
]
WORDS = {("estimates", name): "estimates=True with a solver of the lean engine" for name in THEIRS}
WORDS |= {(f, "backsolve"): "adjoint=BacksolveAdjoint is not possible" for f in EVENTS}
WORDS |= {
    (feature, "implicit"): "`adjoint=ImplicitAdjoint"
    for feature in ("times", "backwards", "tree state", "samples", "dense", "preset times")
}
WORDS |= {
    ("complex state", "backsolve"): "has wrong gradients where the state is complex",
    ("running cost", "backsolve"): "a `running_cost`, which adjoint=BacksolveAdjoint",
    ("times", "backsolve"): "`diffrax.BacksolveAdjoint` has no derivatives by times",
}


def of_diffrax(feature, name):
    method = ode.Method(adjoint=THEIRS[name], rtol=1e-8, atol=1e-8, max_steps=128)
    derivative = jax.jacfwd if name == "forward" else jax.grad
    return jax.jit(derivative(functools.partial(FEATURES[feature], method=method)))


@slow
@pytest.mark.parametrize(("feature", "name"), [pytest.param(*c, id="-".join(c)) for c in RIGHT])
def test_adjoint_of_diffrax_is_the_derivative_of_the_equation(feature, name):
    _, expected = adaptive_program(feature, "discrete")(X, 1e-12)
    found = of_diffrax(feature, name)(jnp.asarray(X))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@slow
@pytest.mark.filterwarnings("ignore:Complex dtype support in Diffrax")
@pytest.mark.parametrize(
    ("feature", "name"), [pytest.param(*cell, id="-".join(cell)) for cell in sorted(WORDS)]
)
def test_adjoint_of_diffrax_refuses_by_name(feature, name):
    with pytest.raises(ValueError, match=WORDS[feature, name]):
        of_diffrax(feature, name).lower(jnp.asarray(X))


def test_every_feature_has_an_adjoint_of_diffrax():
    assert {feature for feature, _ in [*RIGHT, *WORDS]} == set(FEATURES)
    assert {name for _, name in [*RIGHT, *WORDS]} == set(THEIRS)
