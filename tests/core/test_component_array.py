import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sciml_lux import ComponentArray, MissingEntryError, Record, nn, setup
from tests.conftest import needs_x32
from tests.core.layers import DensePs

X = jnp.asarray([[1.0, 2.0]], jnp.float32)
MODEL = nn.Chain(nn.Dense(2, 3, nn.tanh), nn.Dense(3, 1))


def tree():
    return Record(
        w=jnp.asarray([[1.0, 2.0], [3.0, 4.0]], jnp.float32),
        inner=Record(b=jnp.asarray([5.0], jnp.float32), a=jnp.asarray(6.0, jnp.float32)),
    )


def loss(ps):
    return jnp.sum(MODEL(X, ps, setup(0, MODEL)[1])[0] ** 2)


def test_vector_has_the_order_of_the_tree():
    np.testing.assert_array_equal(ComponentArray(tree()).vector, [1, 2, 3, 4, 5, 6])
    layers = Record({f"layer_{i}": jnp.full(1, i, jnp.float32) for i in range(1, 12)})
    np.testing.assert_array_equal(ComponentArray(layers).vector, np.arange(1, 12))


def test_views_have_shape_and_values():
    ps = ComponentArray(tree())
    np.testing.assert_array_equal(ps.w, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(ps["w"], ps.w)
    assert ps.inner.a.shape == () and ps.inner.a.item() == 6.0
    assert ps["inner"]["b"].tolist() == [5.0]


def test_nested_view_is_a_component_array_of_its_part():
    inner = ComponentArray(tree()).inner
    assert type(inner) is ComponentArray and list(inner) == ["b", "a"] and len(inner) == 2
    np.testing.assert_array_equal(inner.vector, [5, 6])
    twice = ComponentArray(Record(first=jnp.zeros(2, jnp.float32), rest=tree())).rest.inner
    np.testing.assert_array_equal(twice.vector, [5, 6])


def test_sizes_names_and_dtype():
    ps = ComponentArray(tree())
    assert len(ps) == 6 and list(ps) == ["w", "inner"] and ps.dtype == jnp.float32
    assert "w" in ps and "b" not in ps
    assert {"w", "inner", "vector"} <= set(dir(ps))


@pytest.mark.parametrize(
    "source",
    [
        {"weight": np.ones((1, 2), np.float32), "bias": np.zeros(1, np.float32)},
        DensePs(np.ones((1, 2), np.float32), np.zeros(1, np.float32)),
        ComponentArray({"weight": X, "bias": X[0, :1] * 0}).replace(jnp.asarray([1.0, 1, 0], "f4")),
    ],
)
def test_trees_with_names_of_any_class_are_taken(source):
    ps = ComponentArray(source)
    assert list(ps) == ["weight", "bias"]
    np.testing.assert_array_equal(ps.vector, [1, 1, 0])


def test_empty_tree_gives_an_empty_vector():
    ps = ComponentArray(Record(a=Record()))
    assert len(ps) == 0 and len(ps.a) == 0


def test_zero_size_entries_are_kept():
    ps = ComponentArray(Record(a=jnp.zeros((0, 3), jnp.float32), b=jnp.ones(1, jnp.float32)))
    assert ps.a.shape == (0, 3) and ps.b.tolist() == [1.0]


def test_gradient_equals_that_of_the_record():
    ps, _ = setup(0, MODEL)
    flat = jax.grad(loss)(ComponentArray(ps))
    assert type(flat) is ComponentArray
    for left, right in zip(
        jax.tree.leaves(flat.as_record()), jax.tree.leaves(jax.grad(loss)(ps)), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_adam_step_equals_that_of_the_record():
    def stepped(ps):
        optimiser, gradient = optax.adam(0.1), jax.grad(loss)(ps)
        with jax.numpy_dtype_promotion("standard"):  # optax's step count is an int32.
            updates, _ = optimiser.update(gradient, optimiser.init(ps))
            return optax.apply_updates(ps, updates)

    ps, _ = setup(0, MODEL)
    flat, plain = stepped(ComponentArray(ps)), stepped(ps)
    for left, right in zip(jax.tree.leaves(flat.as_record()), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)


def test_parameters_of_a_chain():
    ps, st = setup(0, MODEL)
    y, _ = jax.jit(MODEL)(X, ComponentArray(ps), st)
    np.testing.assert_allclose(y, MODEL(X, ps, st)[0], rtol=1e-6)


def test_replace_keeps_the_names():
    ps = ComponentArray(tree())
    assert ps.replace(2 * ps.vector).inner.a.item() == 12.0
    assert ps.replace(np.arange(6, dtype=np.float16)).w.dtype == np.float16
    assert ps.replace(np.arange(6)).w.tolist() == [[0, 1], [2, 3]]


@needs_x32
def test_replace_with_integers_that_would_be_cut_raises():
    with pytest.raises(TypeError, match="the vector has int64 numbers that int32 cannot hold"):
        ComponentArray(tree()).replace(2 ** np.arange(30, 36))


@pytest.mark.parametrize("shape", [(5,), (7,), (6, 1), ()])
def test_replace_with_another_length_raises(shape):
    with pytest.raises(
        ValueError, match=r"`ComponentArray` has names for 6 numbers along the last axis, got a v"
    ):
        ComponentArray(tree()).replace(jnp.zeros(shape, jnp.float32))


def test_mixed_dtypes_raise_naming_both_paths():
    mixed = tree() | {"inner": Record(b=jnp.ones(1, jnp.float16), a=jnp.ones(1, jnp.float32))}
    text = r"^`ComponentArray` expects one dtype, got .* Nothing is promoted for you: convert"
    with pytest.raises(TypeError, match=text) as caught:
        ComponentArray(mixed)
    message = str(caught.value)
    assert "float32 at `w`" in message and "float16 at `inner.b`" in message


@pytest.mark.parametrize(
    ("leaf", "text"),
    [
        (1.0, r"got 1.0 at `inner.rate`. Convert it: jnp.asarray\(value, dtype\)"),
        (None, "got None at `inner.rate`"),
        ([1.0], "got 1.0 at `inner.rate.0`"),
        (jax.ShapeDtypeStruct((2,), jnp.float32), r"got float32\[2\] at `inner.rate`"),
    ],
)
def test_leaves_that_are_no_arrays_raise(leaf, text):
    with pytest.raises(TypeError, match=f"`ComponentArray` expects arrays, {text}"):
        ComponentArray(Record(inner=Record(rate=leaf)))


@pytest.mark.parametrize(("value", "kind"), [(X, "ArrayImpl"), ([X], "list"), (None, "NoneType")])
def test_tree_without_names_raises(value, kind):
    with pytest.raises(
        TypeError, match=rf"`ComponentArray` expects a tree with names .* got {kind}"
    ):
        ComponentArray(value)


def test_lists_of_arrays_inside_the_tree_raise():
    with pytest.raises(TypeError, match="`ComponentArray` expects"):
        ComponentArray(Record(layers=[jnp.ones(2, jnp.float32)]))


@needs_x32
def test_numpy_float64_with_x64_off_raises():
    with pytest.raises(TypeError, match="float64, but jax_enable_x64 is off"):
        ComponentArray(Record(w=np.ones(2)))


def test_missing_entry_lists_what_exists():
    with pytest.raises(MissingEntryError, match="has no entry `c`; it has `b`, `a`"):
        ComponentArray(tree()).inner.c
    with pytest.raises(KeyError, match="has no entry `c`; it has `w`, `inner`"):
        ComponentArray(tree())["c"]


def test_missing_entry_speaks_of_the_component_array():
    with pytest.raises(MissingEntryError, match="`ComponentArray` has no entry `c`"):
        ComponentArray(tree()).c


@pytest.mark.parametrize("name", ["_axis", "vector"])
def test_items_are_entries_only(name):
    with pytest.raises(KeyError, match=f"has no entry `{name}`"):
        ComponentArray(tree())[name]


@pytest.mark.parametrize("name", ["vector", "as_record"])
def test_entry_named_as_a_member_is_refused_or_reached(name):
    value = jnp.asarray([7.0], jnp.float32)
    try:
        ps = ComponentArray(Record({name: value, "other": jnp.zeros(2, jnp.float32)}))
    except ValueError as error:
        assert name in str(error)
        return
    np.testing.assert_array_equal(ps[name], value)
    np.testing.assert_array_equal(getattr(ps, name), value)


def test_set_raises():
    ps = ComponentArray(tree())
    for name in ("w", "vector", "new"):
        with pytest.raises(
            AttributeError, match=f"`ComponentArray` is immutable: cannot set `{name}"
        ):
            setattr(ps, name, 1)


def test_vector_is_the_only_leaf():
    ps = ComponentArray(tree())
    ((path, leaf),) = jax.tree_util.tree_leaves_with_path(ps)
    assert jax.tree_util.keystr(path) == ".vector" and leaf is ps.vector


def test_crosses_jit_and_same_names_share_a_trace():
    traces = []

    @jax.jit
    def total(ps):
        traces.append(1)
        return jnp.sum(ps.w) + ps.inner.a

    assert total(ComponentArray(tree())).item() == 16.0
    total(ComponentArray(tree()))
    assert len(traces) == 1


def test_vmap_over_vectors():
    ps = ComponentArray(tree())
    batch = jax.tree.map(lambda v: jnp.stack([v, 2 * v]), ps)
    np.testing.assert_array_equal(jax.vmap(lambda ps: ps.inner.a)(batch), [6.0, 12.0])


def test_pickle_and_copies():
    ps = ComponentArray(tree())
    for twin in (pickle.loads(pickle.dumps(ps)), copy.copy(ps), copy.deepcopy(ps)):
        assert jax.tree.structure(twin) == jax.tree.structure(ps)
        np.testing.assert_array_equal(twin.vector, ps.vector)


def test_as_record_round_trip():
    record = ComponentArray(tree()).as_record()
    assert jax.tree.structure(record) == jax.tree.structure(tree())
    for left, right in zip(jax.tree.leaves(record), jax.tree.leaves(tree()), strict=True):
        np.testing.assert_array_equal(left, right)


def test_repr_shows_shapes():
    assert repr(ComponentArray(tree())) == "ComponentArray(float32[6]: w=(2, 2), inner=2 numbers)"
