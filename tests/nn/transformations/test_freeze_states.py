"""`freeze_states`: what is frozen runs in test mode, and its statistics stay."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training

pytestmark = pytest.mark.any_precision
X = jnp.asarray([[1.0, -2.0], [0.5, 3.0], [4.0, 1.0]], jnp.float32)
MODEL = nn.Chain(
    nn.Dense(2, 3),
    nn.BatchNorm(3),
    nn.BatchNorm(3, affine=False),
    nn.Dropout(0.5),
    nn.Dense(3, 1),
)


def used(model):
    """Trees whose running statistics are not the initial ones."""
    ps, st = lux.setup(0, model)
    return ps, model(X, ps, st)[1]


def same(left, right):
    return all(map(np.array_equal, *map(jax.tree.leaves, (left, right))))


def test_frozen_batch_norm_normalises_by_its_statistics_and_keeps_them():
    layer = nn.BatchNorm(2)
    ps, st = used(layer)
    frozen, kept, states = nn.freeze(layer, ps, st, freeze_states=True)
    assert frozen == nn.FrozenLayer(layer, freeze_states=True)
    y, after = frozen(X, kept, lux.trainmode(states))
    expected = layer(X, ps, lux.testmode(st))[0]
    np.testing.assert_array_equal(y, expected)
    mean, var = (np.asarray(s, np.float64) for s in (st.running_mean, st.running_var))
    np.testing.assert_allclose(y, (np.asarray(X) - mean) / np.sqrt(var + 1e-5), rtol=1e-5)
    assert after is not None and same(after, states)
    # One row is enough, as in test mode.
    assert frozen(X[:1], kept, states)[0].shape == (1, 2)


def test_without_it_the_statistics_of_a_frozen_layer_go_on():
    layer = nn.BatchNorm(2)
    frozen, kept, states = nn.freeze(layer, *used(layer))
    after = frozen(X, kept, states)[1]
    assert not np.array_equal(after.states.running_mean, states.states.running_mean)


def test_named_layers_keep_their_states_and_others_do_not():
    ps, st = used(MODEL)
    which = ("layer_1", "layer_2", "layer_3")
    model, kept, states = nn.freeze(MODEL, ps, st, which, freeze_states=True)
    assert [type(model[i]) for i in range(3)] == [nn.FrozenLayer] * 3
    assert isinstance(model[3], nn.Dropout)
    after = model(X, kept, states)[1]
    for name in which:
        assert same(after[name], states[name])
    assert not same(jax.random.key_data(after.layer_4.rng), jax.random.key_data(states.layer_4.rng))
    assert jax.tree.structure(after) == jax.tree.structure(states)


def test_part_of_a_layer_that_is_frozen_keeps_the_states_of_the_layer():
    layer = nn.BatchNorm(2)
    ps, st = used(layer)
    frozen, kept, states = nn.freeze(layer, ps, st, "scale", freeze_states=True)
    assert list(kept) == ["bias"]
    assert same(frozen(X, kept, states)[1], states)


def test_fine_tuning_leaves_the_frozen_part_as_it_was():
    ps, st = used(MODEL)
    which = ("layer_1", "layer_2", "layer_3", "layer_4")
    model, kept, states = nn.freeze(MODEL, ps, st, which, freeze_states=True)
    tstate = training.TrainState(model, kept, states, optax.sgd(0.1))
    data = X, jnp.ones((3, 1), jnp.float32)
    result = training.fit(tstate, losses.MSELoss(), data, steps=3, progress=False)
    moved = result.tstate
    assert np.all(np.diff(result.losses) < 0)
    assert not same(moved.parameters, kept)
    for name in which[:3]:
        assert same(moved.states[name], states[name])
    thawed, whole, back = nn.unfreeze(model, moved.parameters, moved.states)
    assert thawed == MODEL and same(whole.layer_1, ps.layer_1)
    assert same(back.layer_2, st.layer_2) and back.layer_2.training


@pytest.mark.parametrize("first", [True, False])
def test_freezing_again_keeps_what_was_kept(first):
    layer = nn.BatchNorm(2)
    once = nn.freeze(layer, *used(layer), "scale", freeze_states=first)
    twice = nn.freeze(*once, freeze_states=not first)
    assert twice[0] == nn.FrozenLayer(layer, freeze_states=True)


def test_it_is_printed():
    text = "FrozenLayer(BatchNorm(2), freeze_states=True)"
    assert repr(nn.freeze(nn.BatchNorm(2), freeze_states=True)) == text
