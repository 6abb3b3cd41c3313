"""Estimates of a solve in a loss: through `ode.solve`, a layer, and times of each sample."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode, training
from tests.conftest import X64

pytestmark = pytest.mark.any_precision

METHOD = ode.Method(rtol=1e-4, atol=1e-4, estimates=True)
NODE = ode.NeuralODE(nn.Dense(2, 2, nn.tanh), (0.0, 4.0), dt0=1.0, estimates=True,
                     stepsize_controller=diffrax.ConstantStepSize())  # fmt: skip
NAMES = ["local_error", "squared_local_error", "stiffness"]
U0 = [[1.0, 0.5], [-0.3, 2.0], [0.1, 0.2]]


def decay(t, u, rate):
    return -rate * u


@jax.jit
def of_decay(rate):
    """The estimates of a decay and their derivatives, in reverse and forward mode."""
    problem = ode.Problem(jnp.ones(1, rate.dtype), tspan=(0.0, 1.0))
    estimates = lambda rate: ode.solve(decay, problem, rate, method=METHOD).estimates
    return estimates(rate), jax.jacrev(estimates)(rate), jax.jvp(estimates, (rate,), (rate,))[1]


def test_loss_of_a_function_has_them(dtype):
    rate = jnp.asarray(3.0, dtype)
    values, reverse, forward = of_decay(rate)
    assert list(values) == NAMES and {v.dtype for v in values.values()} == {dtype}
    # Of a linear equation each step estimates the rate: with steps as constants, their number.
    close = {"rtol": 1e-9 if dtype == "float64" else 1e-2}
    steps = float(values.stiffness) / 3
    np.testing.assert_allclose(steps, round(steps), **close)
    np.testing.assert_allclose(reverse.stiffness, steps, **close)
    np.testing.assert_allclose(forward.stiffness, 3 * steps, **close)
    np.testing.assert_allclose(forward.local_error, 3 * reverse.local_error, **close)


def hardness(model, ps, st, problem):
    """The local error alone, so that the model learns to be easy."""
    solution, st = model.solve(problem, ps, st)
    return solution.estimates.local_error.mean(), st, {"stiffness": solution.estimates.stiffness}


def test_training_with_them_makes_a_solve_easy(dtype):
    ps, st = lux.setup(jax.random.key(0), NODE, dtype=dtype)
    tstate, losses = training.TrainState(NODE, ps, st, optax.sgd(10.0)), []
    for _ in range(3):
        _, loss, stats, tstate = training.single_train_step(
            training.AutoReverse(), hardness, jnp.asarray(U0, dtype), tstate
        )
        losses.append(float(loss))
    assert losses[0] > losses[1] > losses[2] > 0 and stats["stiffness"].dtype == dtype


def test_samples_of_their_own_times_have_them_each(dtype):
    ps, st = lux.setup(jax.random.key(0), NODE, dtype=dtype)
    ts = jnp.asarray([[0.0, 0.5], [0.0, 1.0], [0.2, 0.9]], dtype)
    solve = jax.jit(lambda problem: NODE.solve(problem, ps, st)[0].estimates)
    found = solve(ode.Problem(jnp.asarray(U0, dtype), ts=ts))
    assert {v.shape for v in found.values()} == {(3,)}
    alone = solve(ode.Problem(jnp.asarray(U0[:1], dtype), ts=ts[:1]))
    close = {"rtol": 1e-9 if X64 else 1e-2}
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[:1], b, **close), found, alone)


def test_failed_solve_has_none_and_no_gradient(dtype):
    method = ode.Method(max_steps=2, estimates=True, throw=False)
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    estimates = lambda rate: ode.solve(decay, problem, rate, method=method).estimates
    total = lambda rate: sum(estimates(rate).values())
    found = jax.jit(jax.value_and_grad(total))(jnp.asarray(30.0, dtype))
    assert np.isnan(found).all()


def test_without_being_asked_for_they_are_none(dtype):
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    assert ode.solve(decay, problem, jnp.ones((), dtype)).estimates is None


def test_method_without_stages_at_one_time_has_no_stiffness(dtype):
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    method = ode.Method(solver=diffrax.Heun(), rtol=1e-2, atol=1e-2, estimates=True)
    estimates = ode.solve(decay, problem, jnp.ones((), dtype), method=method).estimates
    assert list(estimates) == NAMES[:2]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"solver": diffrax.Kvaerno5()}, r"got solver=Kvaerno5\(.*Take diffrax.Tsit5"),
        ({"solver": diffrax.Euler(), "dt0": 0.1}, r"got solver=Euler\(\)"),
        ({"adjoint": diffrax.DirectAdjoint()}, "got adjoint=DirectAdjoint"),
    ],
)
def test_solver_that_cannot_have_them_is_refused(options, text, dtype):
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    method = ode.Method(estimates=True, **options)
    with pytest.raises(ValueError, match=r"`ode.solve` expects estimates=True with a.*" + text):
        ode.solve(decay, problem, jnp.ones((), dtype), method=method)


def test_option_is_a_boolean():
    with pytest.raises(TypeError, match="`Method` expects `estimates` to be True or False, got 1"):
        ode.Method(estimates=1)
