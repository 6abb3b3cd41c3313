"""Many steps in one loop, donated memory, and hyper-parameters changed on the way."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, testing, training
from tests.conftest import X64, needs_x64
from tests.training.models import AD, assert_same_bits, line_data, tiny_state

LOSS = losses.MSELoss()
RTOL = 1e-12 if X64 else 1e-5


def one_by_one(tstate, batches):
    values = []
    for batch in batches:
        _, loss, _, tstate = training.single_train_step(AD, LOSS, batch, tstate)
        values.append(loss)
    return np.asarray(values), tstate


def assert_close(left, right):
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=RTOL)


def test_steps_over_the_same_data_are_single_steps(dtype):
    data = line_data(dtype)
    expected, last = one_by_one(tiny_state(dtype), [data] * 5)
    values, stats, tstate = training.train_steps(AD, LOSS, data, tiny_state(dtype), steps=5)
    np.testing.assert_allclose(values, expected, rtol=RTOL)
    assert int(tstate.step) == 5 and len(stats) == 0
    assert_close(tstate.parameters, last.parameters)


def test_steps_over_stacked_data_take_one_entry_each(dtype):
    x, y = line_data(dtype)
    batches = [(x + i, y) for i in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
    expected, last = one_by_one(tiny_state(dtype), batches)
    values, _, tstate = training.train_steps(AD, LOSS, stacked, tiny_state(dtype))
    np.testing.assert_allclose(values, expected, rtol=RTOL)
    assert_close(tstate.optimizer_state, last.optimizer_state)


def test_steps_stack_the_stats(dtype):
    def objective(model, ps, st, data):
        loss, st, _ = LOSS(model, ps, st, data)
        return loss, st, {"twice": 2 * loss}

    values, stats, _ = training.train_steps(
        AD, objective, line_data(dtype), tiny_state(dtype), steps=3
    )
    np.testing.assert_allclose(stats["twice"], 2 * values, rtol=1e-6)


def test_steps_compile_once(dtype):
    data, tstate = line_data(dtype), tiny_state(dtype)
    training.train_steps(AD, LOSS, data, tstate, steps=2)
    with testing.assert_no_recompile():
        training.train_steps(AD, LOSS, data, tstate, steps=2)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_steps_that_are_no_positive_integer_are_an_error(dtype, steps):
    with pytest.raises(ValueError, match=rf"expects `steps` of 1 or more, got {steps}"):
        training.train_steps(AD, LOSS, line_data(dtype), tiny_state(dtype), steps=steps)


def test_data_of_different_lengths_is_an_error(dtype):
    x, y = line_data(dtype)
    with pytest.raises(ValueError, match=r"one leading axis of steps, got lengths \[\(7,\), "):
        training.train_steps(AD, LOSS, (x, y[:7]), tiny_state(dtype))


def test_donated_step_equals_the_plain_one_and_takes_its_input(dtype):
    data = line_data(dtype)
    _, _, _, plain = training.single_train_step(AD, LOSS, data, tiny_state(dtype))
    given = tiny_state(dtype)
    parameters = given.parameters
    grads, _, _, donated = training.single_train_step(AD, LOSS, data, given, donate=True)
    assert_same_bits(donated.trees, plain.trees)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(parameters))
    applied = training.apply_gradients(donated, grads, donate=True)
    assert_same_bits(applied.trees, training.apply_gradients(plain, grads).trees)


def test_array_that_stands_twice_is_donated_once(dtype):
    model = nn.Chain(nn.Dense(1, 1), nn.Dense(1, 1))
    ps, st = lux.setup(0, model, dtype=dtype)
    ps = ps | {"layer_2": ps.layer_1}
    data = line_data(dtype)

    def state():
        return training.TrainState(model, jax.tree.map(lambda a: a, ps), st, optax.sgd(0.1))

    plain = training.single_train_step(AD, LOSS, data, state())[3]
    donated = training.single_train_step(AD, LOSS, data, state(), donate=True)[3]
    assert_same_bits(donated.trees, plain.trees)


def adjustable(dtype):
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.inject_hyperparams(optax.adam)(learning_rate=0.1),
    )
    return tiny_state(dtype, optimizer)


def test_adjusted_rate_is_used_without_compiling_again(dtype):
    data, tstate = line_data(dtype), adjustable(dtype)
    step = lambda tstate: training.single_train_step(AD, LOSS, data, tstate)[3]
    moved = step(tstate)
    with testing.assert_no_recompile():
        still = step(training.adjust(tstate, learning_rate=0.0))
    assert_same_bits(still.parameters, tstate.parameters)
    half = step(training.adjust(tstate, learning_rate=0.05))
    for a, b, c in zip(
        *map(jax.tree.leaves, (tstate.parameters, half.parameters, moved.parameters)), strict=True
    ):
        np.testing.assert_allclose(2 * (b - a), c - a, rtol=1e-4, atol=1e-7)
    rate = training.adjust(tstate, learning_rate=0.3).optimizer_state[1].hyperparams
    assert rate["learning_rate"].dtype == dtype and float(rate["learning_rate"]) == dtype.type(0.3)


def test_unknown_hyperparameter_lists_the_known(dtype):
    with pytest.raises(KeyError, match=r"no hyper-parameter `rate` .* it has b1, b2, .*learning"):
        training.adjust(adjustable(dtype), rate=0.1)


def test_optimiser_without_hyperparameters_says_how_to_make_one(dtype):
    with pytest.raises(KeyError, match=r"it has none. Make the optimiser with optax.inject"):
        training.adjust(tiny_state(dtype), learning_rate=0.1)


def test_accumulated_gradients_equal_those_of_the_whole_batch(dtype):
    x, y = line_data(dtype)
    halves = [(x[:4], y[:4]), (x[4:], y[4:])]
    tstate = tiny_state(dtype, training.multi_steps(optax.sgd(0.1), 2))
    _, accumulated = one_by_one(tstate, halves)
    _, whole = one_by_one(tiny_state(dtype, optax.sgd(0.1)), [(x, y)])
    assert_close(accumulated.parameters, whole.parameters)


def test_clipped_gradients_move_no_further_than_told(dtype):
    optimizer = optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(1.0))
    tstate = tiny_state(dtype, optimizer)
    _, moved = one_by_one(tstate, [line_data(dtype)])
    difference = jax.tree.map(lambda a, b: a - b, moved.parameters, tstate.parameters)
    np.testing.assert_allclose(optax.tree.norm(difference), 0.01, rtol=1e-4)


def test_adjust_refuses_what_it_cannot_change(dtype):
    inject = optax.inject_hyperparams(optax.sgd)
    scheduled = tiny_state(dtype, inject(training.schedules.constant_schedule(0.1)))
    with pytest.raises(KeyError, match="cannot set `learning_rate`, which follows a schedule"):
        training.adjust(scheduled, learning_rate=0.0)
    whole = tiny_state(dtype, inject(learning_rate=1))
    with pytest.raises(ValueError, match=r"to 0.1: the optimiser was made with an integer. Make"):
        training.adjust(whole, learning_rate=0.1)
    assert training.adjust(whole, learning_rate=2.0).optimizer_state.hyperparams == {
        "learning_rate": 2
    }


@pytest.mark.parametrize("narrow", [jnp.float16, jnp.bfloat16, np.float16])
def test_adjust_refuses_a_number_that_has_lost_digits(dtype, narrow):
    text = rf"`learning_rate` in {dtype.name} or wider, got 0.013.* in {jnp.dtype(narrow).name}, "
    with pytest.raises(TypeError, match=text + ".* Pass a Python float"):
        training.adjust(adjustable(dtype), learning_rate=narrow(0.013))


@needs_x64
def test_adjust_of_float64_refuses_float32_alone():
    tstate = adjustable(jnp.float64)
    for rate in (jnp.float32(0.013), np.float32(0.013)):
        with pytest.raises(TypeError, match=r"float64 or wider, got 0.013\d* in float32"):
            training.adjust(tstate, learning_rate=rate)
    for rate in (0.013, np.float64(0.013), jnp.float64(0.013)):
        kept = training.adjust(tstate, learning_rate=rate).optimizer_state[1].hyperparams
        assert float(kept["learning_rate"]) == 0.013
    whole = training.adjust(tstate, learning_rate=jnp.int32(2)).optimizer_state[1].hyperparams
    assert float(whole["learning_rate"]) == 2
