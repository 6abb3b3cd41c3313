"""The moving average of the parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from tests.conftest import needs_x64
from tests.training.models import AD, assert_same_bits, line_data, tiny_state

pytestmark = pytest.mark.any_precision
LOSS = losses.MSELoss()


def path_of(tstate, data, steps):
    """The states along `steps` steps, the first included."""
    states = [tstate]
    for _ in range(steps):
        states.append(training.single_train_step(AD, LOSS, data, states[-1])[3])
    return states


def weights(states):
    return [np.asarray(s.parameters.layer_1.weight, np.float64) for s in states]


@pytest.mark.parametrize("debias", [True, False])
def test_average_is_that_of_its_formula(debias, dtype):
    optimizer = training.with_average(optax.sgd(0.1), 0.9, debias=debias)
    states = path_of(tiny_state(dtype, optimizer), line_data(dtype), 7)
    start, *moved = weights(states)
    average = 0.0 if debias else start
    for p in moved:
        average = 0.9 * average + (1 - 0.9) * p
    average = average / (1 - 0.9**7) if debias else average
    found = states[-1].averaged_parameters
    assert found.layer_1.weight.dtype == dtype
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-5
    np.testing.assert_allclose(found.layer_1.weight, average, rtol=tolerance)
    assert_same_bits(states[0].averaged_parameters, states[0].parameters)
    if debias:
        first = states[1].averaged_parameters.layer_1.weight
        np.testing.assert_allclose(first, moved[0], rtol=2 * jnp.finfo(dtype).eps)


def test_parameters_are_those_of_the_optimiser_inside(dtype):
    data = line_data(dtype)
    plain = path_of(tiny_state(dtype, optax.adam(1e-2)), data, 3)[-1]
    averaged = tiny_state(dtype, training.with_average(optax.adam(1e-2)))
    for left, right in zip(
        jax.tree.leaves(plain.parameters),
        jax.tree.leaves(path_of(averaged, data, 3)[-1].parameters),
        strict=True,
    ):
        np.testing.assert_allclose(left, right, rtol=8 * jnp.finfo(dtype).eps)


def test_decay_may_follow_the_step(dtype):
    def warmup(step):
        return jnp.minimum(0.9, step / (step + 4.0))

    optimizer = training.with_average(optax.sgd(0.1), training.exact_schedule(warmup))
    states = path_of(tiny_state(dtype, optimizer), line_data(dtype), 5)
    average, weight = 0.0, 0.0
    for k, p in enumerate(weights(states)[1:]):
        decay = min(0.9, k / (k + 4))
        average, weight = decay * average + (1 - decay) * p, decay * weight + 1 - decay
    found = states[-1].averaged_parameters.layer_1.weight
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-5
    np.testing.assert_allclose(found, average / weight, rtol=tolerance)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_half_precision_parameters_are_averaged_in_float32(half):
    model = nn.Scale(2, use_bias=False)
    ps, st = lux.setup(0, model, dtype=half)
    optimizer = training.with_average(optax.sgd(1.0), 0.999, debias=False)
    tstate = training.TrainState(model, ps, st, optimizer)
    for _ in range(20):  # One half less at each step: an average in half precision would stay.
        grads = jax.tree.map(lambda p: jnp.full_like(p, 0.01), tstate.parameters)
        tstate = training.apply_gradients(tstate, grads)
    average = tstate.optimizer_state.average.weight
    assert average.dtype == jnp.float32 and tstate.averaged_parameters.weight.dtype == half
    assert 0.9975 < average[0] < 0.9985
    assert tstate.averaged_parameters.weight[0] == average[0].astype(half)


def test_complex_and_flat_parameters_are_averaged():
    model = nn.Scale(2, use_bias=False)
    ps, st = lux.setup(0, model, dtype=jnp.complex64)
    optimizer = training.with_average(optax.sgd(1.0), 0.5, debias=False)
    tstate = training.TrainState(model, ps, st, optimizer)
    tstate = training.apply_gradients(tstate, jax.tree.map(lambda p: p * 2j, ps))
    np.testing.assert_allclose(tstate.averaged_parameters.weight, [1 - 1j] * 2, rtol=1e-6)
    flat = lux.ComponentArray(lux.setup(0, model)[0])
    tstate = training.TrainState(model, flat, st, training.with_average(optax.sgd(1.0)))
    assert isinstance(tstate.averaged_parameters, lux.ComponentArray)


def test_validation_uses_the_average(dtype):
    data = line_data(dtype)
    optimizer = training.with_average(optax.sgd(0.1), 0.9)
    options = {"validation": data, "validation_every": 2, "progress": False}
    result = training.fit(tiny_state(dtype, optimizer), LOSS, data, steps=4, **options)
    tstate = result.tstate
    x, y = data
    expected = LOSS(tstate.model(x, tstate.averaged_parameters, tstate.states)[0], y)
    np.testing.assert_allclose(result.validation.losses[-1], expected, rtol=1e-5)
    other = LOSS(tstate.model(x, tstate.parameters, tstate.states)[0], y)
    assert abs(float(other) / float(expected) - 1) > 1e-2


def test_average_is_resumed_and_donated_to_the_bit(dtype, tmp_path):
    data = line_data(dtype)
    optimizer = training.with_average(optax.adam(1e-2), 0.9)
    start, file = tiny_state(dtype, optimizer), tmp_path / "fit.ckpt"
    whole = training.fit(start, LOSS, data, steps=6, progress=False).tstate
    training.fit(start, LOSS, data, steps=2, checkpoint=file, progress=False)
    resumed = training.fit(
        start, LOSS, data, steps=6, checkpoint=file, resume=True, progress=False
    ).tstate
    assert_same_bits(resumed.trees, whole.trees)
    assert_same_bits(resumed.averaged_parameters, whole.averaged_parameters)
    plain = path_of(tiny_state(dtype, optimizer), data, 2)[-1]
    donated = tiny_state(dtype, optimizer)
    for _ in range(2):
        donated = training.single_train_step(AD, LOSS, data, donated, donate=True)[3]
    assert_same_bits(donated.trees, plain.trees)


def test_average_of_the_trained_part_of_a_frozen_model(dtype):
    model = nn.Chain(nn.Dense(1, 4, nn.tanh), nn.Dense(4, 1))
    frozen = nn.freeze(model, *lux.setup(0, model, dtype=dtype), "layer_1")
    tstate = training.TrainState(*frozen, training.with_average(optax.sgd(0.1), 0.5))
    moved = path_of(tstate, line_data(dtype), 2)[-1]
    assert jax.tree.structure(moved.averaged_parameters) == jax.tree.structure(frozen[1])


def test_average_lies_anywhere_in_the_optimiser(dtype):
    inner = training.with_average(optax.sgd(0.1), 0.5)
    optimizer = training.multi_steps(optax.chain(optax.clip_by_global_norm(1.0), inner), 2)
    states = path_of(tiny_state(dtype, optimizer), line_data(dtype), 2)
    assert_same_bits(states[1].averaged_parameters, states[0].parameters)
    np.testing.assert_allclose(
        states[2].averaged_parameters.layer_1.weight,
        states[2].parameters.layer_1.weight,
        rtol=1e-6,
    )


@needs_x64
def test_digits_of_float64_are_kept_over_many_steps():
    model = nn.Scale(1, use_bias=False)
    ps, st = lux.setup(0, model, dtype=jnp.float64)
    decay = 0.9999
    tstate = training.TrainState(model, ps, st, training.with_average(optax.sgd(0.5), decay))

    def objective(model, ps, st, data):
        return jnp.sum((ps.weight - jnp.asarray(0.1, jnp.float64)) ** 2) * 0.01, st, {}

    _, _, tstate = training.train_steps(AD, objective, jnp.zeros(1), tstate, steps=5000)
    # p_t = 0.1 + 0.9 q^t: its debiased average is a geometric series.
    q, t, d = np.longdouble(1) - np.longdouble("0.01"), 5000, np.longdouble(decay)
    series = (1 - d) * q * (d**t - q**t) / (d - q) / (1 - d**t)
    expected = np.longdouble("0.1") + np.longdouble("0.9") * series
    np.testing.assert_allclose(tstate.averaged_parameters.weight[0], float(expected), rtol=1e-12)


def test_audit_finds_nothing_lost(dtype):
    with lux.precision.match_eltype("error"):
        tiny_state(dtype, training.with_average(optax.adam(1e-2), 0.99))


def test_state_without_average_says_how_to_get_one(dtype):
    with pytest.raises(ValueError, match=r"no average .* with training.with_average\(optimizer, 0"):
        tiny_state(dtype).averaged_parameters


def test_average_of_some_parameters_is_refused(dtype):
    def mask(ps):
        return (
            ps
            | {"layer_1": jax.tree.map(lambda _: False, ps.layer_1)}
            | {"layer_2": jax.tree.map(lambda _: True, ps.layer_2)}
        )

    some = optax.masked(training.with_average(optax.sgd(0.1)), mask)
    with pytest.raises(lux.StateStructureError, match="not one of all parameters, at `layer_1.wei"):
        tiny_state(dtype, some).averaged_parameters


@pytest.mark.parametrize("decay", [1, 1.5, -0.1, "0.9", float("nan")])
def test_decay_outside_its_range_is_an_error(decay):
    with pytest.raises(ValueError, match=r"`decay` in \[0, 1\) or a function of the step, got"):
        training.with_average(optax.sgd(0.1), decay)


def test_average_of_no_optimiser_is_an_error():
    with pytest.raises(TypeError, match="`with_average` expects an optax optimiser, got float"):
        training.with_average(0.1)


def test_update_without_parameters_is_an_error():
    optimizer = training.with_average(optax.sgd(0.1))
    ps = {"w": jnp.ones(2, jnp.float32)}
    with pytest.raises(ValueError, match="`with_average` expects the parameters, got None"):
        optimizer.update(ps, optimizer.init(ps))


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_audit_of_half_precision_finds_nothing_lost(half):
    with lux.precision.match_eltype("error"):
        tiny_state(half, training.with_average(optax.sgd(1e-2), 0.99))
