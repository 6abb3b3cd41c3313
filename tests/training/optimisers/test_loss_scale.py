"""Loss scaling, against the rules of torch's GradScaler and training in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from tests.training.models import AD, assert_same_bits, line_data, tiny_state

pytestmark = pytest.mark.any_precision
LOSS = losses.MSELoss()
MLP = nn.Chain(nn.Dense(1, 8, nn.tanh), nn.Dense(8, 1))
HALF = nn.AlternatePrecision("float16", MLP)


def state_of(model, optimizer):
    return training.TrainState(model, *lux.setup(jax.random.key(0), model), optimizer)


def tiny_loss(model, ps, st, data):
    """A loss whose gradient by the output is below the least float16."""
    loss, st, stats = LOSS(model, ps, st, data)
    return 1e-8 * loss, st, stats


def grad_scaler(finite, scale, interval):
    """torch's `_amp_update_scale_`, with the least scale of jmp."""
    tracker, scales, skipped = 0, [], 0
    for good in finite:
        if good:
            tracker += 1
            if tracker == interval:
                scale, tracker = 2 * scale, 0
        else:
            scale, tracker, skipped = max(0.5 * scale, 1.0), 0, skipped + 1
        scales.append(scale)
    return scales, skipped


def test_scale_follows_the_rules_of_torch():
    optimizer = training.with_loss_scale(optax.sgd(0.1), 4.0, growth_interval=3)
    tstate = state_of(nn.Dense(1, 1), optimizer)
    finite = [1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]
    expected, skipped = grad_scaler(finite, 4.0, 3)
    found, grads = [], jax.tree.map(jnp.ones_like, tstate.parameters)
    for good in finite:
        given = grads if good else grads | {"bias": jnp.full_like(grads.bias, jnp.inf)}
        moved = training.apply_gradients(tstate, given)
        if not good:
            assert_same_bits(moved.parameters, tstate.parameters)
        tstate = moved
        found.append(float(tstate.optimizer_state.scale))
    assert found == expected and 1.0 in found
    assert int(tstate.optimizer_state.num_skipped) == skipped == 6
    assert int(tstate.step) == len(finite)


def test_scale_does_not_grow_to_infinity():
    optimizer = training.with_loss_scale(optax.sgd(0.1), 2.0**127, growth_interval=1)
    tstate = state_of(nn.Dense(1, 1), optimizer)
    grads = jax.tree.map(jnp.zeros_like, tstate.parameters)
    assert training.apply_gradients(tstate, grads).optimizer_state.scale == 2.0**127


def test_loss_and_gradient_that_come_back_are_the_true_ones(dtype):
    data = line_data(dtype)
    scaled = tiny_state(dtype, training.with_loss_scale(optax.sgd(0.1)))
    plain = tiny_state(dtype, optax.sgd(0.1))
    left = training.single_train_step(AD, LOSS, data, scaled)
    right = training.single_train_step(AD, LOSS, data, plain)
    close = {"rtol": 16 * jnp.finfo(dtype).eps, "atol": 4 * jnp.finfo(dtype).eps}
    for one, two in ((left[1], right[1]), (left[0], right[0])):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), one, two)
    moved, expected = left[3].parameters, right[3].parameters
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), moved, expected)


def test_gradients_that_float16_cannot_hold_arrive():
    data = line_data(jnp.float32)
    lost, found, expected = (
        training.compute_gradients(AD, tiny_loss, data, state_of(model, optimizer))[0]
        for model, optimizer in (
            (HALF, optax.sgd(1.0)),
            (HALF, training.with_loss_scale(optax.sgd(1.0))),
            (MLP, optax.sgd(1.0)),
        )
    )
    assert not np.any(lost.layer_1.weight)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == jnp.float32
        np.testing.assert_allclose(a, b, rtol=2e-2, atol=2e-3 * float(np.abs(b).max()))


def test_float16_trains_to_the_result_of_float32():
    data = line_data(jnp.float32)
    half = state_of(HALF, training.with_loss_scale(optax.adam(3e-2), growth_interval=50))
    wide = state_of(MLP, optax.adam(3e-2))
    one, two = (
        training.fit(tstate, LOSS, data, steps=300, progress=False) for tstate in (half, wide)
    )
    assert two.losses[-1] < 1e-2
    np.testing.assert_allclose(one.losses[-1], two.losses[-1], rtol=0.5, atol=1e-3)
    skipped = int(one.tstate.optimizer_state.num_skipped)
    assert skipped > 0 and np.sum(one.losses[:20] > 0) == 20
    assert {leaf.dtype for leaf in jax.tree.leaves(one.tstate.parameters)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_master_weights_take_updates_that_half_precision_loses(half):
    layer = nn.Scale(1, use_bias=False)
    data = jnp.ones((4, 1), jnp.float32), jnp.zeros((4, 1), jnp.float32)
    ps, st = lux.setup(0, layer, dtype=half)
    alone = training.TrainState(layer, ps, st, optax.sgd(1e-4))
    master = state_of(nn.AlternatePrecision(half, layer), optax.sgd(1e-4))
    found = []
    for tstate in (alone, master):
        narrow = data if tstate is master else jax.tree.map(lambda a: a.astype(half), data)
        moved = training.train_steps(AD, LOSS, narrow, tstate, steps=50)[2]
        found.append(float(moved.parameters.weight[0]))
    assert found[0] == 1.0
    np.testing.assert_allclose(found[1], (1 - 2e-4) ** 50, rtol=1e-4)


def test_skipped_step_leaves_statistics_and_moments_as_they_were():
    model = nn.Chain(nn.BatchNorm(1), nn.Dense(1, 1))
    tstate = state_of(model, training.with_loss_scale(optax.adam(1e-2)))
    x, y = line_data(jnp.float32)
    data = x.at[3].set(jnp.inf), y
    moved = training.single_train_step(AD, LOSS, data, tstate)[3]
    assert_same_bits(moved.parameters, tstate.parameters)
    assert_same_bits(moved.states, tstate.states)
    assert_same_bits(moved.optimizer_state.inner_state, tstate.optimizer_state.inner_state)
    assert int(moved.optimizer_state.num_skipped) == 1 and int(moved.step) == 1


def test_fit_refuses_what_no_scale_helps():
    x, y = line_data(jnp.float32)
    tstate = state_of(MLP, training.with_loss_scale(optax.sgd(0.1), 4.0))
    with pytest.raises(training.NonFiniteError, match="is not finite at step 2") as caught:
        training.fit(tstate, LOSS, (x, y.at[2].set(jnp.nan)), steps=9, progress=False)
    kept = caught.value.result.tstate
    assert kept.optimizer_state.scale == 1 and int(kept.optimizer_state.num_skipped) == 2
    assert_same_bits(kept.parameters, tstate.parameters)


def test_scaled_training_is_resumed_and_donated_to_the_bit(tmp_path):
    data, file = line_data(jnp.float32), tmp_path / "fit.ckpt"
    start = state_of(HALF, training.with_loss_scale(optax.adam(1e-2), growth_interval=2))
    whole = training.fit(start, LOSS, data, steps=8, progress=False)
    training.fit(start, LOSS, data, steps=3, checkpoint=file, progress=False)
    resumed = training.fit(start, LOSS, data, steps=8, checkpoint=file, resume=True, progress=False)
    assert_same_bits(resumed.tstate.trees, whole.tstate.trees)
    np.testing.assert_array_equal(resumed.losses, whole.losses)
    plain = training.single_train_step(AD, LOSS, data, start)[3]
    fresh = state_of(HALF, start.optimizer)
    donated = training.single_train_step(AD, LOSS, data, fresh, donate=True)[3]
    assert_same_bits(donated.trees, plain.trees)


def test_average_inside_does_not_count_skipped_steps():
    inner = training.with_average(optax.sgd(0.1), 0.5)
    tstate = state_of(nn.Dense(1, 1), training.with_loss_scale(inner))
    grads = jax.tree.map(lambda p: jnp.full_like(p, jnp.nan), tstate.parameters)
    moved = training.apply_gradients(tstate, grads)
    assert moved.optimizer_state.inner_state.num_updates == 0
    assert_same_bits(moved.averaged_parameters, tstate.parameters)


def test_half_precision_parameters_are_refused_with_the_remedy():
    model = nn.Dense(1, 1)
    ps, st = lux.setup(0, model, dtype=jnp.float16)
    text = r"parameters in float32 or wider, got float16\[1,1\] at `weight`.*AlternatePrecision\("
    with pytest.raises(TypeError, match=text):
        training.TrainState(model, ps, st, training.with_loss_scale(optax.sgd(0.1)))


BAD = [
    ({"initial_scale": 0.5}, r"`initial_scale` to be a number of 1 or more, got 0.5"),
    ({"growth_factor": 1}, "`growth_factor` to be a number above 1, got 1"),
    ({"backoff_factor": 1.0}, r"`backoff_factor` to be a number between 0 and 1, got 1.0"),
    ({"growth_interval": 0}, "`growth_interval` to be an integer of 1 or more, got 0"),
    ({"growth_interval": True}, "`growth_interval` to be an integer of 1 or more, got True"),
]


@pytest.mark.parametrize(("options", "text"), BAD)
def test_options_out_of_range_are_errors(options, text):
    with pytest.raises(ValueError, match=text):
        training.with_loss_scale(optax.sgd(0.1), **options)


def test_scale_of_no_optimiser_is_an_error():
    with pytest.raises(TypeError, match="`with_loss_scale` expects an optax optimiser, got float"):
        training.with_loss_scale(0.1)
