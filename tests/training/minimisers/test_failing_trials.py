"""Trials where the loss is not finite: the method goes back, and the best so far is kept."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest

import sciml_lux as lux
from sciml_lux import losses, ode, training
from tests.conftest import X64

pytestmark = pytest.mark.any_precision
TOLERANCES = {"rtol": 1e-6, "atol": 1e-6}
SQUARES = {
    "LevenbergMarquardt": optimistix.LevenbergMarquardt(**TOLERANCES),
    "Dogleg": optimistix.Dogleg(**TOLERANCES),
}
GENERAL = {
    "BFGS": optimistix.BFGS(**TOLERANCES),
    "optax": optax.lbfgs(),
    "L-BFGS-B": training.SciPy("L-BFGS-B"),
    "SciPy BFGS": training.SciPy("BFGS"),
    "CG": training.SciPy("CG"),
    "TNC": training.SciPy("TNC"),
    "Newton-CG": training.SciPy("Newton-CG"),
    "trust-constr": training.SciPy("trust-constr"),
}
DTYPE = jnp.float64 if X64 else jnp.float32


class Quadratic(lux.Layer):
    """du/dt = a u² from u = 1: u(1) = 1 / (1 - a), and none for a of 1 or more."""

    def initial_parameters(self, key, dtype):
        return lux.Record(a=jnp.asarray(0.1, dtype))

    def __call__(self, u, ps, st):
        return ps.a * u * u, st


def state():
    node = ode.NeuralODE(Quadratic(), (0.0, 1.0), rtol=1e-5, atol=1e-5)
    return training.TrainState(node, *lux.setup(0, node, dtype=DTYPE), optax.sgd(0.1))


START = state()
DATA = jnp.ones(1, DTYPE), jnp.full(1, 10, DTYPE)  # a = 0.9, near the wall.


def minimise(tstate, objective, method, steps=60):
    return training.minimise(tstate, objective, DATA, method, steps=steps, progress=False)


@pytest.mark.filterwarnings("ignore:delta_grad == 0")  # Of trust-constr, in float32.
@pytest.mark.parametrize("name", [*GENERAL, *SQUARES])
def test_method_goes_back_from_a_solve_that_fails(name):
    result = minimise(START, losses.MSELoss(), {**GENERAL, **SQUARES}[name])
    np.testing.assert_allclose(result.tstate.parameters.a, 0.9, rtol=1e-4)
    assert np.isfinite(result.losses).all() and np.min(result.losses) < 1e-4


def test_best_so_far_is_kept_where_the_method_cannot_go_back():
    method = optimistix.GaussNewton(**TOLERANCES)  # It takes each step whole.
    with pytest.raises(training.NonFiniteError, match="the last good state is that of step") as e:
        minimise(START, losses.MSELoss(), method)
    assert jnp.isfinite(e.value.result.tstate.parameters.a)
    method = training.SciPy("SLSQP")
    with pytest.raises(training.NonFiniteError, match="nan where SLSQP ended, so nothing was") as e:
        minimise(START, losses.MSELoss(), method)
    assert e.value.result.tstate.parameters.a == jnp.asarray(0.1, DTYPE)


def test_trial_that_fails_has_no_entry_among_the_losses():
    seen = []

    def objective(model, ps, st, data):
        jax.debug.callback(lambda a: seen.append(float(a)), ps.a)
        return losses.MSELoss()(model, ps, st, data)

    result = minimise(START, objective, training.SciPy("L-BFGS-B"))
    assert max(seen) >= 1 and np.isfinite(result.losses).all()
    assert int(result.tstate.step) == len(result.losses) - 1
