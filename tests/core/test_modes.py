import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import (
    Layer,
    Record,
    StatefulLuxLayer,
    Static,
    nn,
    setup,
    testmode,
    trainmode,
    update_state,
)
from tests.core.layers import Running, Scale

X = jnp.asarray([1.0, 2.0], jnp.float32)
MODEL = nn.Chain(Running(2), nn.Chain(Scale(2), Running(2)))


def flags(st):
    return [st.layer_1.training.value, st.layer_2.layer_2.training.value]


def test_modes_set_flags_at_every_depth():
    _, st = setup(0, MODEL)
    assert flags(st) == [True, True]
    assert flags(testmode(st)) == [False, False]
    assert flags(trainmode(testmode(st))) == [True, True]
    assert flags(st) == [True, True]


def test_modes_keep_all_else():
    _, st = setup(0, MODEL)
    other = testmode(st)
    assert other.layer_1.mean is st.layer_1.mean
    assert other.layer_1.key is st.layer_1.key
    assert list(other.layer_1) == list(st.layer_1)
    assert type(other.layer_1.training) is Static


def test_modes_change_what_the_layer_does():
    ps, st = setup(0, MODEL)
    y, trained = MODEL(X, ps, st)
    np.testing.assert_array_equal(y, [0.0, 0.0])  # x - (0 + x)
    assert trained.layer_1.count.item() == 1
    y, tested = MODEL(X, ps, testmode(st))
    np.testing.assert_array_equal(y, X)
    assert tested.layer_1.count.item() == 0


def test_modes_of_a_tree_without_flags_return_it():
    st = Record(a=jnp.ones(2, jnp.float32))
    for change in (trainmode, testmode):
        assert change(st).a is st.a
    assert len(testmode(Record())) == 0


def test_mode_compiles_once_each():
    traces = []

    @jax.jit
    def forward(x, ps, st):
        traces.append(flags(st))
        return MODEL(x, ps, st)

    ps, st = setup(0, MODEL)
    for mode in (st, testmode(st), trainmode(st), testmode(st)):
        forward(X, ps, mode)
    assert traces == [[True, True], [False, False]]


def test_modes_of_a_stateful_layer():
    f = testmode(StatefulLuxLayer(MODEL, *setup(0, MODEL)))
    assert type(f) is StatefulLuxLayer and f.model == MODEL
    assert flags(f.st) == [False, False]
    np.testing.assert_array_equal(f(X), X)
    assert flags(trainmode(f).st) == [True, True]


def test_update_state_sets_every_entry_of_that_name():
    _, st = setup(0, MODEL)
    updated = update_state(st, "count", jnp.asarray(7, jnp.int32))
    assert updated.layer_1.count.item() == updated.layer_2.layer_2.count.item() == 7
    assert st.layer_1.count.item() == 0


def test_update_state_wraps_flags_where_they_were():
    _, st = setup(0, MODEL)
    assert flags(update_state(st, "training", False)) == [False, False]
    assert flags(update_state(st, "training", Static(False))) == [False, False]
    assert update_state(Record(mean=1.0), "mean", 2.0).mean == 2.0


def test_update_state_replaces_none_and_whole_subtrees():
    assert update_state(Record(carry=None), "carry", 3).carry == 3
    st = Record(cell=Record(cell=1, other=2))
    assert update_state(st, "cell", 5).cell == 5


def test_update_state_reaches_into_dicts_and_tuples():
    st = update_state(Record(a=({"rate": 1}, {"rate": 2})), "rate", 0)
    assert st.a == ({"rate": 0}, {"rate": 0})


def test_update_state_of_a_missing_name_raises():
    _, st = setup(0, MODEL)
    text = "`update_state` found no entry `momentum` in the state tree. Check the name; print the"
    with pytest.raises(KeyError, match=text):
        update_state(st, "momentum", 0.5)
    with pytest.raises(KeyError, match="found no entry `coun`"):
        update_state(st, "coun", 0)


def test_update_state_under_jit():
    _, st = setup(0, MODEL)
    out = jax.jit(lambda st, v: update_state(st, "mean", v))(st, X)
    np.testing.assert_array_equal(out.layer_2.layer_2.mean, X)


class SameName(Layer):
    """A parameter and a state of one name."""

    def initial_parameters(self, key, dtype):
        return Record(scale=jnp.ones(2, dtype))

    def initial_states(self, key, dtype):
        return Record(scale=jnp.ones(2, dtype))

    def __call__(self, x, ps, st):
        return x * ps.scale * st.scale, st


def test_update_state_of_a_stateful_layer_leaves_the_parameters():
    f = update_state(StatefulLuxLayer(SameName(), *setup(0, SameName())), "scale", 3 * X)
    np.testing.assert_array_equal(f.st.scale, 3 * X)
    np.testing.assert_array_equal(f.ps.scale, [1.0, 1.0])


def test_update_state_keeps_a_flag_that_is_an_array_one():
    st = Record(update_mask=jnp.zeros((), jnp.bool_), count=jnp.zeros((), jnp.int32))
    new = update_state(st, "update_mask", True)
    assert new.update_mask.dtype == jnp.bool_ and new.update_mask.shape == () and new.update_mask
    assert update_state(st, "count", 3).count == 3


def test_update_state_copies_numpy_memory():
    memory = np.ones(2, np.float32)
    new = update_state(Record(mean=X), "mean", memory)
    memory[:] = 7.0
    np.testing.assert_array_equal(new.mean, [1.0, 1.0])
