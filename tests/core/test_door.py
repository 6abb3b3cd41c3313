"""What may be given to a model as `ps` and `st`: mappings are taken, entries too many are not."""

import collections
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import (
    ComponentArray,
    Layer,
    Record,
    StatefulLuxLayer,
    StateStructureError,
    apply,
    as_dict,
    nn,
    setup,
)
from tests.core.layers import Duck, Running

X = jnp.asarray([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]], jnp.float32)
MODEL = nn.Chain(*[nn.Dense(2, 2, nn.tanh)] * 11, nn.BatchNorm(2))
PS, ST = setup(0, MODEL)
DICT_PS, DICT_ST = as_dict(PS), as_dict(ST)


def trees_equal(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_dicts_give_what_records_give_and_the_state_comes_back_as_a_dict():
    y, st = MODEL(X, DICT_PS, DICT_ST)
    expected_y, expected_st = MODEL(X, PS, ST)
    np.testing.assert_array_equal(y, expected_y)
    assert type(st) is dict and type(st["layer_12"]) is dict
    trees_equal(st, as_dict(expected_st))
    again, _ = MODEL(X, DICT_PS, st)
    np.testing.assert_array_equal(again, MODEL(X, PS, expected_st)[0])


def test_each_of_the_trees_may_be_a_dict_and_so_may_a_part():
    mixed = PS | {"layer_2": DICT_PS["layer_2"]}
    y, st = MODEL(X, mixed, DICT_ST)
    np.testing.assert_array_equal(y, MODEL(X, PS, ST)[0])
    assert type(st) is dict
    _, st = MODEL(X, DICT_PS, ST)
    assert type(st) is Record
    _, st = MODEL(X, PS, ST | {"layer_12": DICT_ST["layer_12"]})
    assert type(st) is Record and type(st.layer_12) is dict and type(st.layer_1) is Record


def test_a_state_that_does_not_change_is_the_one_that_was_given():
    model = nn.Chain(nn.Dense(2, 2))
    ps, st = map(as_dict, setup(0, model))
    assert model(X, ps, st)[1] is st


@pytest.mark.parametrize(
    "st",
    [
        collections.OrderedDict(DICT_ST),
        collections.defaultdict(dict, DICT_ST),
        collections.UserDict(DICT_ST),
        types.MappingProxyType(DICT_ST),
    ],
)
def test_other_mappings_keep_their_type(st):
    _, new = MODEL(X, DICT_PS, st)
    assert type(new) is type(st) and new is not st
    trees_equal(dict(new), MODEL(X, DICT_PS, DICT_ST)[1])
    trees_equal(dict(st), DICT_ST)


def test_a_scan_carries_a_defaultdict():
    st, _ = jax.lax.scan(
        lambda st, _: MODEL(X, PS, st)[::-1], collections.defaultdict(dict, DICT_ST), length=2
    )
    assert st.default_factory is dict


def test_gradients_are_what_jax_makes_of_what_was_given():
    def loss(ps):
        return jnp.sum(MODEL(X, ps, DICT_ST)[0] ** 2)

    grads, of_records = (jax.jit(jax.grad(loss))(ps) for ps in (DICT_PS, PS))
    assert type(grads) is dict and list(grads)[:2] == ["layer_1", "layer_10"]  # JAX sorts.
    trees_equal(grads, as_dict(of_records))
    np.testing.assert_array_equal(MODEL(X, grads, ST)[0], MODEL(X, of_records, ST)[0])


def test_a_stateful_layer_of_dicts_has_records_in_the_models_order():
    # What comes out of a transformation of JAX is sorted by name.
    f = StatefulLuxLayer(MODEL, jax.tree.map(lambda leaf: leaf, DICT_PS), DICT_ST)
    assert list(f.ps) == list(PS)
    np.testing.assert_array_equal(f.call(X)[0], MODEL(X, PS, ST)[0])
    np.testing.assert_array_equal(f.call(X, DICT_PS)[0], MODEL(X, PS, ST)[0])
    assert type(f.call(X)[1].st) is Record


def test_what_is_a_dict_in_the_models_own_tree_stays_one():
    model = nn.Chain(Duck(), nn.Dense(2, 2))
    ps, st = setup(0, model)
    assert type(ps.layer_1) is dict
    y, _ = model(X, ps, st)
    np.testing.assert_array_equal(model(X, as_dict(ps), as_dict(st))[0], y)
    np.testing.assert_array_equal(apply(Duck(), X, ps.layer_1, {})[0], X + 1)


def test_containers_leaves_and_layers_with_states_take_dicts():
    for layer in (nn.Dense(2, 2), nn.SkipConnection(nn.Dense(2, 2), jnp.add), Running(2)):
        ps, st = setup(0, layer)
        y, _ = layer(X[0], as_dict(ps), as_dict(st))
        np.testing.assert_array_equal(y, layer(X[0], ps, st)[0])


@pytest.mark.parametrize(
    ("ps", "st", "text"),
    [
        (PS | {"extra": X}, ST, "`ps` to have no entries but its own, got `extra` too"),
        (
            PS | {"layer_2": PS.layer_2 | {"bais": PS.layer_2.bias}},
            ST,
            "`ps` to have no entries but its own, got `layer_2.bais` too. Pass the trees",
        ),
        ({0: X}, ST, "`ps` to have no entries but its own, got `0` too"),
        (DICT_PS | {"extra": 1}, ST, "`ps` to have no entries but its own, got `extra` too"),
        (PS, ST | {"count": 1}, "`st` to have no entries but its own, got `count` too"),
    ],
)
def test_an_entry_too_many_raises(ps, st, text):
    for call in (MODEL, jax.jit(MODEL)):
        with pytest.raises(StateStructureError, match=f"`Chain` expects {text}"):
            call(X, ps, st)


def test_an_entry_too_many_raises_in_a_stateful_layer():
    with pytest.raises(StateStructureError, match="`Chain` expects `st` to have no entries but"):
        StatefulLuxLayer(MODEL, PS, ST | {"count": 1})


def test_dicts_that_are_swapped_are_told_so_as_records_are():
    for ps, st in ((PS, ST), (DICT_PS, DICT_ST)):
        with pytest.raises(AttributeError, match="`weight`, but `ps` and `st` are swapped"):
            MODEL(X, st, ps)


class Drawn(Layer):
    """Drawn by NumPy, which JAX cannot trace."""

    dims: int

    def initial_parameters(self, key, dtype):
        draw = np.random.default_rng(int(jax.random.bits(key)))
        return Record(shift=jnp.asarray(draw.normal(size=self.dims), dtype))

    def __call__(self, x, ps, st):
        return x + jnp.broadcast_to(ps.shift, x.shape), st


@pytest.mark.parametrize("model", [Drawn(2), nn.Chain(Drawn(2), nn.Dense(2, 2))])
def test_a_layer_whose_start_cannot_be_traced_is_called_with_the_trees_as_they_are(model):
    ps, st = setup(0, model)
    y, _ = model(X, ps, st)
    np.testing.assert_allclose(jax.jit(model)(X, ps, st)[0], y, rtol=1e-5)
    assert StatefulLuxLayer(model, ps, st)(X).shape == y.shape
    with pytest.raises(AttributeError, match=r"got dict. Convert it: lux.as_record\(tree\)"):
        model(X, as_dict(ps), st)


def test_a_part_of_a_chain_takes_the_trees_of_the_whole():
    part = MODEL[11:]
    y, st = part(X, PS, ST)
    np.testing.assert_array_equal(y, nn.BatchNorm(2)(X, PS.layer_12, ST.layer_12)[0])
    assert jax.tree.structure(st) == jax.tree.structure(ST)
    _, st = part(X, DICT_PS, DICT_ST)
    assert type(st) is dict and st["layer_1"] is DICT_ST["layer_1"]
    with pytest.raises(StateStructureError, match="got `layer_12.more` too"):
        part(X, PS | {"layer_12": PS.layer_12 | {"more": X}}, ST)


def test_trees_of_other_kinds_are_left_to_the_layers_that_read_them():
    class Mine:
        def __init__(self, **entries):
            self.__dict__.update(entries)

    dense = nn.Dense(2, 2)
    ps, st = setup(0, dense)
    own = Mine(weight=ps.weight, bias=ps.bias, note="mine")
    for tree in (own, ComponentArray(ps)):
        np.testing.assert_array_equal(dense(X, tree, st)[0], dense(X, ps, st)[0])


def test_names_are_looked_up_once_for_a_model(monkeypatch):
    from sciml_lux.core import _structure

    model, calls = nn.Dense(2, 2), []
    ps, st = setup(0, model)
    original = _structure._structure
    monkeypatch.setattr(
        _structure, "_structure", lambda *args: calls.append(args) or original(*args)
    )
    for _ in range(3):
        model(X, ps, st)
    assert len(calls) == 2


def test_what_is_written_to_numpy_after_the_call_changes_nothing():
    given = []
    layer = nn.WrappedFunction(lambda x: given.append(x) or x["a"])
    memory = np.ones(4, np.float32)
    y, _ = layer({"a": memory}, Record(), Record())
    memory[:] = -5.0
    np.testing.assert_array_equal(y, 1.0)
    np.testing.assert_array_equal(given[0]["a"], 1.0)
