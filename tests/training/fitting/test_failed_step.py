"""A step that is not finite: the update before it is taken back, or halved; a solve says why."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import io, losses, nn, ode, training
from tests.training.models import assert_same_bits

pytestmark = pytest.mark.any_precision
MSE = losses.MSELoss()


class Quadratic(lux.Layer):
    """du/dt = a u², which ends at t = 1 / (a u0)."""

    def initial_parameters(self, key, dtype):
        return lux.Record(a=jnp.asarray(0.1, dtype))

    def __call__(self, u, ps, st):
        return ps.a * u * u, st


class EachStep(training.Callback):
    every = 1


def fit(tstate, data, steps, objective=MSE, **options):
    return training.fit(tstate, objective, data, steps=steps, progress=False, **options)


def of_solve(dtype, rate):
    """a = 1/2 leads from 1 to 2; the first step with a large rate leads beyond a = 1."""
    node = ode.NeuralODE(Quadratic(), (0.0, 1.0), rtol=1e-4, atol=1e-4)
    tstate = training.TrainState(node, *lux.setup(0, node, dtype=dtype), optax.sgd(rate))
    return tstate, (jnp.ones(1, dtype), jnp.full(1, 2, dtype))


def scalar(dtype, rate=1.5):
    model = nn.Scale(1, use_bias=False)
    return training.TrainState(model, *lux.setup(0, model, dtype=dtype), optax.sgd(rate))


def walled(model, ps, st, data):
    """(w - 3)², which is not finite from w = 4 on."""
    w = ps.weight[0]
    loss = jnp.square(w - 3) * data
    return loss + 0 * jnp.sqrt(4 - w), st, {"w": w}


def test_solve_says_why_and_the_update_is_taken_back(dtype):
    tstate, data = of_solve(dtype, 2.0)
    text = (
        "the loss is not finite at step 1, so the update was taken back: the state is again that "
        "of step 0. `NeuralODE`: the solution grows without bound, or leaves the finite numbers, at"
    )
    with pytest.raises(training.NonFiniteError, match=f"^{re.escape(text)}") as caught:
        fit(tstate, data, 50)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert_same_bits(caught.value.result.tstate, tstate)
    assert len(caught.value.result.losses) == 0
    again = caught.value.result.tstate.with_optimizer(optax.sgd(0.02))
    assert fit(again, data, 60).losses[-1] < 1e-3


def test_halving_recovers_from_a_rate_at_which_the_solve_diverges(dtype):
    tstate, data = of_solve(dtype, 2.0)
    result = fit(tstate, data, 12, on_failed_step="halve")
    assert len(result.losses) == 12 == int(result.tstate.step)
    assert np.isfinite(result.losses).all() and float(result.tstate.parameters.a) < 1


def test_halves_of_an_update_by_hand(dtype):
    one = jnp.ones((), dtype)
    result = fit(scalar(dtype), one, 3, walled, on_failed_step="halve")
    # 1 -> 7, 4 and 2.5 in turn; 2.5 -> 4 and 3.25; 3.25 -> 2.5.
    assert result.stats["w"].tolist() == [1, 2.5, 3.25]
    assert result.losses.tolist() == [4, 0.25, 0.0625]
    assert result.tstate.parameters.weight.tolist() == [2.5]


def test_division_into_calls_does_not_change_halves(dtype):
    one, start = jnp.ones((), dtype), scalar(dtype)
    whole = fit(start, one, 6, walled, on_failed_step="halve")
    parted = fit(start, one, 6, walled, on_failed_step="halve", callbacks=[EachStep()])
    assert_same_bits(whole.tstate, parted.tstate)
    np.testing.assert_array_equal(whole.losses, parted.losses)
    stream = training.Stream([np.ones((), dtype)] * 6)
    streamed = fit(start, stream, 6, walled, on_failed_step="halve")
    assert_same_bits(whole.tstate, streamed.tstate)


def test_halves_in_batches_go_on_with_the_next_batch(dtype):
    batches = training.Stream(list(np.asarray([[1], [2], [1], [2]], dtype)))

    def objective(model, ps, st, batch):
        loss, st, stats = walled(model, ps, st, batch[0])
        return loss, st, stats | {"batch": batch[0]}

    result = fit(scalar(dtype), batches, 4, objective, on_failed_step="halve")
    assert result.stats["batch"].tolist() == [1, 2, 1, 2]


def test_update_that_overflows_has_no_half(dtype):
    steep = lambda model, ps, st, data: (jnp.sum(ps.weight) * data, st, {})
    tstate = scalar(dtype, float(jnp.finfo(dtype).max))
    with pytest.raises(
        training.NonFiniteError, match="the new `weight` is not finite at step 0, so"
    ):
        fit(tstate, jnp.full((), 4, dtype), 1, steep, on_failed_step="halve")


@pytest.mark.parametrize("mode", ["refuse", "halve"])
def test_data_that_are_not_finite_take_nothing_back(dtype, mode):
    data = training.Stream([np.full((), value, dtype) for value in (0.01, 0.01, np.nan)])
    text = r"at step 2, so the update was refused\. .*`data` is nan: correct"
    with pytest.raises(training.NonFiniteError, match=text) as caught:
        fit(scalar(dtype), data, 3, walled, on_failed_step=mode)
    assert int(caught.value.result.tstate.step) == 2


def test_halving_ends(dtype):
    def away(model, ps, st, data):  # Finite at w = 1 alone.
        w = ps.weight[0]
        return w + jnp.where(w == 1, 0, jnp.nan), st, {}

    start = scalar(dtype)
    with pytest.raises(training.NonFiniteError, match="is not finite at step 1, .*taken back") as e:
        fit(start, jnp.ones((), dtype), 2, away, on_failed_step="halve")
    assert_same_bits(e.value.result.tstate, start)


def test_checkpoint_holds_the_state_before_the_update_and_resumes(dtype, tmp_path):
    one = jnp.ones((), dtype)
    start = lambda rate: scalar(dtype, rate).replace(parameters=lux.Record(weight=near))
    near = jnp.full(1, 2.5, dtype)  # w - 3 is -0.5, 0.7, -0.98 and 1.372 in turn.
    with pytest.raises(training.NonFiniteError, match="step 3, .*back: .* step 2; the last good"):
        fit(start(1.2), one, 9, walled, checkpoint=tmp_path)
    kept = io.load_checkpoint(tmp_path).restore(start(1.2), "tstate")
    assert int(kept.step) == 2
    np.testing.assert_allclose(kept.parameters.weight, [2.02], rtol=1e-6)
    slower = start(0.1)
    result = fit(slower, one, 40, walled, checkpoint=tmp_path, resume="changed")
    assert len(result.losses) == 40 and result.losses[-1] < 1e-4


def test_unknown_way_is_an_error(dtype):
    with pytest.raises(
        ValueError, match='`on_failed_step` to be "refuse" or "halve", got \'skip\''
    ):
        fit(scalar(dtype), jnp.ones((), dtype), 1, walled, on_failed_step="skip")


def test_objective_is_evaluated_with_the_parameters_of_the_step(dtype):
    """Not with their average, at which it may be finite."""

    def says_where(model, ps, st, data):
        w = ps.weight[0]
        if not isinstance(w, jax.core.Tracer) and w > 4:
            raise ValueError(f"w = {w:.1f} is above 4")
        return walled(model, ps, st, data)

    model = nn.Scale(1, use_bias=False)
    optimizer = training.with_average(optax.sgd(1.5), decay=0.9)
    tstate = training.TrainState(model, *lux.setup(0, model, dtype=dtype), optimizer)
    with pytest.raises(
        training.NonFiniteError, match=r"step 1, .*step 0\. w = 7\.0 is above 4 Low"
    ):
        fit(tstate, jnp.ones((), dtype), 3, says_where)
