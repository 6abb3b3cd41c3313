import copy
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sciml_lux import MissingEntryError, Record, as_dict, as_record
from tests.core.layers import DensePs

pytestmark = pytest.mark.any_precision


def twelve():
    return Record({f"layer_{i}": float(i) for i in range(1, 13)})


def arrays():
    return Record(a=jnp.asarray([1.0, 2.0], jnp.float32), b=Record(c=jnp.asarray(3.0, jnp.float32)))


def test_leaves_keep_the_order_given():
    assert jax.tree.leaves(twelve()) == [float(i) for i in range(1, 13)]
    assert list(twelve())[1:3] == ["layer_2", "layer_3"]
    assert list(twelve())[-3:] == ["layer_10", "layer_11", "layer_12"]


def test_order_is_part_of_the_structure():
    assert jax.tree.structure(Record(a=1, b=2)) != jax.tree.structure(Record(b=2, a=1))
    assert jax.tree.structure(Record(a=1, b=2)) == jax.tree.structure(Record(a=3, b=4))


def test_attribute_and_item_are_the_same_entry():
    ps = arrays()
    assert ps.a is ps["a"]
    assert ps.b.c is ps["b"]["c"]


def test_mapping_methods_list_names_and_entries_in_order():
    ps = Record(b=1, a=2)
    assert ps.keys() == ("b", "a")
    assert ps.values() == (1, 2)
    assert list(ps.items()) == [("b", 1), ("a", 2)]
    assert len(ps) == 2
    assert "a" in ps and "c" not in ps and 1 not in ps


def test_mapping_and_keywords_join_and_the_keyword_wins():
    assert list(Record({"a": 1, "b": 2}, c=3, a=4).items()) == [("a", 4), ("b", 2), ("c", 3)]
    assert dict(Record(Record(a=1), b=2)) == {"a": 1, "b": 2}
    assert dict(Record(entries=1, self=2)) == {"entries": 1, "self": 2}


def test_dict_and_double_star_take_a_record():
    ps = Record(weight=1, bias=2)
    assert dict(ps) == {"weight": 1, "bias": 2}
    assert dict(**ps) == {"weight": 1, "bias": 2}
    assert dict(Record(**ps, scale=3)) == {"weight": 1, "bias": 2, "scale": 3}


def test_set_and_delete_raise():
    ps = Record(weight=1)
    with pytest.raises(AttributeError, match=r"`Record` is immutable: cannot set `weight`. Make a"):
        ps.weight = 2
    with pytest.raises(AttributeError, match=r"record \| {'new': value}"):
        ps.new = 2
    with pytest.raises(AttributeError, match=r"`Record` is immutable: cannot delete `weight`"):
        del ps.weight
    with pytest.raises(TypeError, match="item assignment"):
        ps["weight"] = 2
    assert ps.weight == 1


@pytest.mark.parametrize("other", [{"b": 3, "c": 4}, Record(b=3, c=4)])
def test_or_replaces_in_place_and_appends_new(other):
    ps = Record(a=1, b=2)
    assert list((ps | other).items()) == [("a", 1), ("b", 3), ("c", 4)]
    assert list(ps.items()) == [("a", 1), ("b", 2)]


def test_pickle_and_copies_keep_order_and_values():
    for twin in (
        pickle.loads(pickle.dumps(arrays())),
        copy.deepcopy(arrays()),
        copy.copy(arrays()),
    ):
        assert type(twin) is Record
        assert jax.tree.structure(twin) == jax.tree.structure(arrays())
        np.testing.assert_array_equal(twin.a, [1.0, 2.0])
        assert twin.b.c.item() == 3.0


def test_deepcopy_copies_the_entries():
    ps = Record(a=np.ones(2))
    twin = copy.deepcopy(ps)
    twin.a[0] = 5.0
    assert ps.a[0] == 1.0


def test_missing_attribute_lists_what_exists():
    with pytest.raises(
        MissingEntryError, match="`Record` has no entry `scale`; it has `weight`, `bias`"
    ):
        Record(weight=1, bias=2).scale
    with pytest.raises(AttributeError, match="`Record` has no entry `scale`; it has nothing"):
        Record().scale


def test_missing_item_lists_what_exists():
    with pytest.raises(KeyError, match="`Record` has no entry `scale`; it has `weight`, `bias`"):
        Record(weight=1, bias=2)["scale"]


def test_missing_attribute_serves_hasattr_and_getattr():
    assert not hasattr(Record(a=1), "b")
    assert getattr(Record(a=1), "b", 7) == 7
    assert not hasattr(Record(a=1), "__array__")


def test_missing_entry_error_pickles():
    with pytest.raises(MissingEntryError) as caught:
        Record(weight=1).scale
    twin = pickle.loads(pickle.dumps(caught.value))
    assert str(twin) == str(caught.value)


@pytest.mark.parametrize(
    "name", ["keys", "values", "items", "_hidden", "__len__", "1st", "a b", ""]
)
def test_invalid_names_raise(name):
    with pytest.raises(ValueError, match=f"`Record` cannot have an entry `{name}`: a name is an"):
        Record({name: 1})


def test_invalid_name_by_or_raises():
    with pytest.raises(ValueError, match="`Record` cannot have an entry `items`"):
        Record(a=1) | {"items": 2}


@pytest.mark.parametrize("name", [1, None, ("a",)])
def test_names_that_are_no_strings_raise(name):
    with pytest.raises(TypeError, match="`Record` expects names that are strings, got"):
        Record({name: 1})


def test_dir_lists_the_entries():
    assert {"weight", "bias", "keys"} <= set(dir(Record(weight=1, bias=2)))


def test_repr_is_what_one_would_type():
    assert repr(Record(a=1, b=Record(c=None))) == "Record(a=1, b=Record(c=None))"
    assert repr(Record()) == "Record()"


def test_paths_print_as_dict_keys():
    paths = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(arrays())]
    assert paths == ["['a']", "['b']['c']"]


def test_none_entries_are_kept_and_are_no_leaves():
    ps = jax.tree.map(lambda v: v + 1, Record(a=None, b=1))
    assert ps.a is None and ps.b == 2


def test_record_crosses_jit():
    doubled = jax.jit(lambda ps: jax.tree.map(lambda v: 2 * v, ps))(arrays())
    assert type(doubled) is Record and list(doubled) == ["a", "b"]
    np.testing.assert_array_equal(doubled.a, [2.0, 4.0])


def test_gradient_of_a_record_is_a_record():
    gradient = jax.grad(lambda ps: jnp.sum(ps.a**2) * ps.b.c)(arrays())
    np.testing.assert_array_equal(gradient.a, [6.0, 12.0])  # 2 a c
    assert gradient.b.c.item() == 5.0  # a·a


def test_record_is_mapped_by_vmap():
    batched = jax.tree.map(lambda v: jnp.stack([v, 2 * v]), arrays())
    y = jax.vmap(lambda ps: jnp.sum(ps.a) + ps.b.c)(batched)
    np.testing.assert_array_equal(y, [6.0, 12.0])
    y = jax.vmap(lambda ps: ps.a, in_axes=(Record(a=0, b=None),))(Record(a=batched.a, b=1.0))
    np.testing.assert_array_equal(y, batched.a)


def test_record_is_a_scan_carry():
    def step(carry, _):
        return carry | {"a": carry.a + carry.b.c}, carry.b

    last, seen = jax.lax.scan(step, arrays(), length=3)
    np.testing.assert_array_equal(last.a, [10.0, 11.0])
    assert seen.c.shape == (3,)


def test_optax_masked_takes_a_record_mask():
    optimiser = optax.masked(optax.scale(-1.0), Record(a=True, b=Record(c=False)))
    updates, _ = optimiser.update(arrays(), optimiser.init(arrays()))
    np.testing.assert_array_equal(updates.a, [-1.0, -2.0])
    assert updates.b.c.item() == 3.0


@pytest.mark.parametrize("labels", [Record(a="up", b=Record(c="down")), Record(a="up", b="down")])
def test_optax_multi_transform_takes_record_labels(labels):
    optimiser = optax.multi_transform({"up": optax.scale(2.0), "down": optax.scale(-1.0)}, labels)
    updates, _ = optimiser.update(arrays(), optimiser.init(arrays()))
    np.testing.assert_array_equal(updates.a, [2.0, 4.0])
    assert updates.b.c.item() == -3.0


def test_equinox_serialisation_round_trip(tmp_path):
    eqx.tree_serialise_leaves(tmp_path / "ps.eqx", arrays())
    blank = jax.tree.map(jnp.zeros_like, arrays())
    read = eqx.tree_deserialise_leaves(tmp_path / "ps.eqx", blank)
    assert jax.tree.structure(read) == jax.tree.structure(arrays())
    np.testing.assert_array_equal(read.a, [1.0, 2.0])
    assert read.b.c.item() == 3.0


def test_as_record_turns_mappings_and_namedtuples():
    ps = as_record({"layer_2": {"weight": 1}, "layer_1": DensePs(weight=2, bias=[3])})
    assert repr(ps) == "Record(layer_2=Record(weight=1), layer_1=Record(weight=2, bias=[3]))"
    assert as_record(5) == 5


def test_as_dict_undoes_as_record():
    tree = {"b": {"w": 1}, "a": {"x": {"y": None}}}
    assert as_dict(as_record(tree)) == tree
    assert list(as_dict(as_record(tree))) == ["b", "a"]
    assert as_dict(5) == 5


def test_conversions_reach_into_lists_and_tuples():
    assert repr(as_record({"a": [{"b": 1}]})) == "Record(a=[Record(b=1)])"
    assert as_dict(Record(a=(Record(b=1),))) == {"a": ({"b": 1},)}
