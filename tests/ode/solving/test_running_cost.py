"""The running cost beside a state: its value, its derivatives, and that steps ignore it."""

import functools
import gc
import weakref

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import X64, slow

pytestmark = pytest.mark.any_precision

DTYPE = jnp.float64 if X64 else jnp.float32
RTOL = 1e-6 if X64 else 2e-3
U0, RATE, END = jnp.asarray([1.0, 2.0], DTYPE), jnp.asarray(0.7, DTYPE), jnp.asarray(2.0, DTYPE)
TIGHT = {"rtol": 1e-9, "atol": 1e-9} if X64 else {"rtol": 1e-5, "atol": 1e-5}
METHODS = {
    "lean": ode.Method(**TIGHT),
    "fixed": ode.Method(solver=diffrax.Bosh3(), dt0=0.01,
                        stepsize_controller=diffrax.ConstantStepSize()),
    "explicit": ode.Method(adjoint=diffrax.RecursiveCheckpointAdjoint(), **TIGHT),
    "implicit": ode.Method(solver=diffrax.Kvaerno5(), **TIGHT),
}  # fmt: skip


def decay(t, u, rate):
    return -rate * u


def kinetic(t, u, du, rate):
    return jnp.sum(jnp.square(du))


def solved(rate=RATE, u0=U0, t1=END, cost=kinetic, method=METHODS["lean"], ts=None):
    problem = ode.Problem(u0, ts=ts, tspan=(0.0, t1))
    return ode.solve(decay, problem, rate, method=method, running_cost=cost)


def closed(rate, u0, t1):
    return jnp.sum(jnp.square(u0)) * rate * (1 - jnp.exp(-2 * rate * t1)) / 2


@pytest.mark.parametrize("name", METHODS)
def test_cost_beside_the_state_that_there_is_without(name):
    ts = None if name == "fixed" else (0.0, 0.5, 1.0)
    alone, solution = (solved(cost=c, method=METHODS[name], ts=ts) for c in (None, kinetic))
    assert alone.cost is None and solution.ys.shape == alone.ys.shape
    assert int(solution.stats.num_steps) == int(alone.stats.num_steps)
    np.testing.assert_allclose(solution.ys, alone.ys, rtol=1e-12 if X64 else 1e-5)
    np.testing.assert_allclose(solution.cost, closed(RATE, U0, END), rtol=RTOL)
    np.testing.assert_allclose(solution.final.u, U0 * np.exp(-1.4), rtol=RTOL)


@pytest.mark.parametrize(
    ("name", "ts"),
    [("lean", None), ("lean", (0.5, 1.0)), pytest.param("explicit", (0.5,), marks=slow)],
    ids=str,
)
def test_gradient_is_that_of_the_closed_form(name, ts):
    value = lambda *args: solved(*args, method=METHODS[name], ts=ts).cost
    gradient = jax.jit(jax.grad(value, (0, 1, 2)))(RATE, U0, END)
    for found, want in zip(gradient, jax.grad(closed, (0, 1, 2))(RATE, U0, END), strict=True):
        np.testing.assert_allclose(found, want, rtol=10 * RTOL)


def test_steps_ignore_a_cost_however_rough():
    rough = lambda t, u, du, rate: 1e6 * jnp.sin(1e4 * t) * jnp.ones(7, DTYPE)
    loose = ode.Method(rtol=1e-4, atol=1e-4)
    counts = [solved(cost=c, method=loose).stats.num_steps.item() for c in (None, kinetic, rough)]
    assert counts[0] == counts[1] == counts[2] < 20


def test_hessian_and_forward_mode():
    value = lambda rate: solved(rate).cost
    want = functools.partial(closed, u0=U0, t1=END)
    second = jax.jit(jax.hessian(value))(RATE)
    np.testing.assert_allclose(second, jax.hessian(want)(RATE), rtol=100 * RTOL)
    forward = jax.jit(lambda rate: jax.jvp(value, (rate,), (jnp.ones_like(rate),))[1])(RATE)
    backward = jax.jit(jax.grad(value))(RATE)
    np.testing.assert_allclose(forward, backward, rtol=1e-12 if X64 else 1e-5)


def test_cost_is_a_tree_of_the_shapes_that_it_returns():
    cost = lambda t, u, du, rate: {"time": 1.0, "norm": jnp.sum(jnp.square(u), -1)}
    found = solved(u0=jnp.stack([U0, 2 * U0]), cost=cost).cost
    np.testing.assert_allclose(found["time"], 2.0, rtol=1e-6)
    want = closed(RATE, U0, END) / RATE**2
    np.testing.assert_allclose(found["norm"], [want, 4 * want], rtol=RTOL)
    assert found["time"].dtype == DTYPE


def test_cost_of_each_sample_of_a_signal_and_of_a_complex_state():
    turned = lambda t, u, rate, inputs: 1j * rate * u
    cost = lambda t, u, du, rate, inputs: jnp.abs(du) + inputs.push(t)
    grid = jnp.asarray([0.0, 1.0], DTYPE)
    inputs = {"push": ode.Interpolated(grid, grid)}
    u0 = jnp.asarray([1.0, 2.0], jnp.complex128 if X64 else jnp.complex64)
    problem = ode.Problem(u0, tspan=(jnp.zeros(2, DTYPE), grid + 1), inputs=inputs)
    # ∫t dt to 1, and held at 1 up to 2.
    found = ode.solve(turned, problem, RATE.astype(u0.dtype), running_cost=cost).cost
    assert found.dtype == DTYPE
    np.testing.assert_allclose(found, [0.7 + 0.5, 2 * 2 * 0.7 + 1.5], rtol=1e-3)


class Power(lux.Layer):
    def initial_parameters(self, key, dtype):
        return lux.Record(rate=jnp.asarray(0.7, dtype))

    def __call__(self, u, ps, st):
        return -ps.rate * u, st


def effort(t, u, du, ps):
    return jnp.sum(jnp.square(du)) / ps.rate


def test_layer_regularised_by_the_cost_of_its_solve():
    node = ode.NeuralODE(Power(), (0.0, 2.0), running_cost=effort, **TIGHT)
    ps, st = lux.setup(0, node, dtype=DTYPE)

    def objective(model, ps, st, data):
        solution, st = model.solve(data, ps, st)
        return jnp.sum(solution.final.u) + 0.1 * solution.cost, st

    loss = lambda ps: objective(node, ps, st, U0)[0]
    want = lambda r: jnp.sum(U0) * jnp.exp(-2 * r) + 0.1 * closed(r, U0, END) / r
    found = jax.jit(jax.grad(loss))(ps).rate
    np.testing.assert_allclose(found, jax.grad(want)(ps.rate), rtol=10 * RTOL)
    y, after = node(U0, ps, st)
    assert y.shape == U0.shape and jax.tree.structure(after) == jax.tree.structure(st)


def test_failed_solve_has_no_cost_and_no_gradient():
    method = ode.Method(throw=False, max_steps=2, **TIGHT)
    value = lambda rate: solved(rate, method=method).cost
    found, gradient = jax.value_and_grad(value)(RATE)
    assert jnp.isnan(found) and jnp.isnan(gradient)


def test_cost_that_is_not_finite_is_an_error_that_names_it():
    with pytest.raises(RuntimeError, match="vector field or the running cost is not finite at t0"):
        solved(cost=lambda t, u, du, rate: jnp.log(t))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"adjoint": diffrax.BacksolveAdjoint()}, "adjoint=BacksolveAdjoint would have .* Leave"),
        (
            {"stepsize_controller": diffrax.PIDController(1e-3, 1e-3, dtmax=0.1)},
            "stepsize_controller=PIDController would have",
        ),
    ],
    ids=str,
)
def test_engine_that_cannot_leave_it_out_refuses(options, text):
    with pytest.raises(ValueError, match=f"`ode.solve` has a `running_cost`, which {text}"):
        solved(method=ode.Method(**options))


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (1.0, "`ode.solve` expects `running_cost` to be a function, got 1.0"),
        (lambda *_: jnp.ones(2, int), r"arrays of the dtype of the state, expected float.*int"),
        (lambda *_: {"a": jnp.ones(2, "float16")}, r"of the state at `a`, expected float.*16"),
        (lambda *_: (), r"must return an array, got \(\)"),
    ],
)
def test_cost_that_is_none_is_refused(cost, text):
    with pytest.raises(TypeError, match=text):
        solved(cost=cost)
    with pytest.raises(TypeError, match="`NeuralODE` expects `running_cost` to be a function"):
        ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0), running_cost="kinetic")


def test_program_is_compiled_once_and_freed_with_either_function():
    def field(t, u, rate):
        return -rate * u

    def solve(cost):
        return ode.solve(field, ode.Problem(U0, tspan=(0.0, 1.0)), RATE, running_cost=cost)

    def used():
        scale = jnp.arange(2.0, dtype=DTYPE)
        traced = []

        def cost(t, u, du, rate):
            traced.append(1)
            return jnp.sum(scale * u)

        solve(cost), solve(cost)
        assert len(traced) == 1
        return weakref.ref(scale)

    used()
    kept = used()
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_cost_in_half_precision_is_added_up_in_float32(dtype):
    method = ode.Method(dt0=2.0**-11, solver=diffrax.Euler(), max_steps=4096)
    still = lambda t, u, args: 0 * u
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    cost = lambda t, u, du, args: jnp.sum(u)
    found = ode.solve(still, problem, None, method=method, running_cost=cost).cost
    assert found.dtype == dtype and found == 1


def test_estimates_of_the_error_and_the_stiffness_are_of_the_state_alone():
    method = ode.Method(estimates=True, **TIGHT)
    rough = lambda t, u, du, rate: 1e3 * jnp.sin(9 * u[0])
    alone, beside = (solved(cost=c, method=method).estimates for c in (None, rough))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), beside, alone)
