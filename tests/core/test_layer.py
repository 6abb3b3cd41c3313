import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ComponentArray, Layer, Record, WrapperLayer, apply, nn, setup
from sciml_lux.core import is_layer
from sciml_lux.core.internal import guarded
from tests.core.layers import DensePs, Duck, Pair, Running, Scale

X = jnp.asarray([[1.0, 2.0]], jnp.float32)


class Inner(WrapperLayer):
    layer: Any


class Two(WrapperLayer):
    first: Any
    second: Any


class Clock(Layer):
    """A container under names of its own, nested."""

    def sublayers(self):
        return {"hands": {"long": Scale(2), "short": Scale(1)}, "face": (Scale(3), Scale(4))}


def test_layer_of_a_user_in_ten_lines():
    class Affine(Layer):
        dims: int
        shift: float = 0.5

        def initial_parameters(self, key, dtype):
            return Record(scale=jax.random.normal(key, (self.dims,), dtype))

        def __call__(self, x, ps, st):
            return x * ps.scale[None] + self.shift, st

    model = Affine(2)
    ps, st = setup(0, model)
    y, _ = model(X, ps, st)
    np.testing.assert_allclose(y, np.asarray(X) * np.asarray(ps.scale) + 0.5, rtol=1e-6)
    assert repr(model) == "Affine(2)" and list(st) == []


@pytest.mark.parametrize("value", [nn.Dense(1, 1), Duck(), nn.NoOpLayer()])
def test_is_layer_for_layers_and_ducks(value):
    assert is_layer(value)


@pytest.mark.parametrize("value", [nn.Dense, Duck, jnp.tanh, None, 3, Record()])
def test_is_layer_refuses_classes_and_others(value):
    assert not is_layer(value)


def test_duck_typed_layer_through_apply():
    ps, st = setup(0, Duck())
    y, _ = apply(Duck(), X, ps, st)
    np.testing.assert_array_equal(y, [[2.0, 3.0]])


def test_duck_typed_layer_inside_chain():
    model = nn.Chain(Scale(2), Duck())
    ps, st = setup(0, model)
    y, after = model(X, ps, st)
    np.testing.assert_array_equal(y, [[2.0, 3.0]])
    assert list(after) == ["layer_1", "layer_2"] and after.layer_2 == {}


def test_apply_gives_what_the_call_gives():
    model = nn.Dense(2, 3)
    ps, st = setup(0, model)
    np.testing.assert_array_equal(apply(model, X, ps, st)[0], model(X, ps, st)[0])


def test_children_get_keys_by_fold_in():
    first, rest = nn.Dense(2, 2), (nn.Dense(2, 3), nn.Dense(3, 1))
    key, dtype = jax.random.key(3), jnp.dtype(jnp.float32)
    ps = Pair(first, rest).initial_parameters(key, dtype)
    expected = first.initial_parameters(jax.random.fold_in(key, 0), dtype)
    np.testing.assert_array_equal(ps.first.weight, expected.weight)
    inner = jax.random.fold_in(jax.random.fold_in(key, 1), 1)
    expected = rest[1].initial_parameters(inner, dtype)
    np.testing.assert_array_equal(ps.rest.layer_2.weight, expected.weight)


def test_setup_folds_parameters_and_states_apart():
    key, dtype = jax.random.key(3), jnp.dtype(jnp.float32)
    ps, st = setup(key, nn.Chain(nn.Dense(2, 2), Running(2)))
    expected = nn.Dense(2, 2).initial_parameters(
        jax.random.fold_in(jax.random.fold_in(key, 0), 0), dtype
    )
    np.testing.assert_array_equal(ps.layer_1.weight, expected.weight)
    inner = jax.random.fold_in(jax.random.fold_in(key, 1), 1)
    assert jnp.array_equal(st.layer_2.key, inner)


def test_fields_that_hold_layers_or_tuples_of_layers_are_children():
    model = Pair(Scale(2), (Scale(2), Running(2)))
    assert list(model.sublayers()) == ["first", "rest"]
    ps, st = setup(0, model)
    rest = "Record(layer_1=Record(scale=(2,)), layer_2=Record())"
    assert repr(jax.tree.map(jnp.shape, ps)) == f"Record(first=Record(scale=(2,)), rest={rest})"
    y, after = model(X[0], ps, st)
    np.testing.assert_array_equal(y, [0.0, 0.0])
    assert after.rest.layer_2.count.item() == 1


@pytest.mark.parametrize("rest", [(), (1, 2)])
def test_tuples_without_layers_are_no_children(rest):
    assert list(Pair(Scale(2), rest).sublayers()) == ["first"]


def test_tuple_that_mixes_layers_and_values_is_an_error():
    with pytest.raises(TypeError, match="`Pair.rest` mixes layers with other values, got"):
        Pair(Scale(2), (Scale(2), 1)).sublayers()


def test_sublayers_nested_in_dicts_and_tuples_give_nested_trees():
    ps, _ = setup(0, Clock())
    assert [jax.tree_util.keystr(p, simple=True, separator=".") for p, _ in _leaves(ps)] == [
        "hands.long.scale",
        "hands.short.scale",
        "face.layer_1.scale",
        "face.layer_2.scale",
    ]
    assert [leaf.size for _, leaf in _leaves(ps)] == [2, 1, 3, 4]


def _leaves(tree):
    return jax.tree_util.tree_leaves_with_path(tree)


def test_layer_without_parameters_gives_empty_records():
    ps, st = setup(0, nn.NoOpLayer())
    assert type(ps) is Record and type(st) is Record and not len(ps) and not len(st)


def test_wrapper_passes_the_tree_through():
    model = Inner(nn.Dense(2, 3))
    ps, st = setup(5, model)
    same, _ = setup(5, nn.Dense(2, 3))
    assert list(ps) == ["weight", "bias"]
    np.testing.assert_array_equal(ps.weight, same.weight)
    np.testing.assert_array_equal(model(X, ps, st)[0], nn.Dense(2, 3)(X, same, st)[0])


def test_wrapper_passes_the_state_through():
    model = Inner(Inner(Running(2)))
    ps, st = setup(5, model)
    assert list(st) == ["count", "training", "mean", "key"]
    assert model(X[0], ps, st)[1].count.item() == 1


def test_wrapper_around_a_duck_typed_layer():
    model = Inner(Duck())
    np.testing.assert_array_equal(model(X, *setup(0, model))[0], [[2.0, 3.0]])


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (Inner(3), "`Inner` is a wrapper and needs one field that holds a layer, got 0. Use `L"),
        (
            Two(Scale(2), Scale(2)),
            "`Two` is a wrapper and needs one field that holds a layer, got 2",
        ),
    ],
)
def test_wrapper_with_another_number_of_children_raises(model, text):
    with pytest.raises(TypeError, match=text):
        setup(0, model)
    with pytest.raises(TypeError, match=text):
        model(X, Record(), Record())


def test_layer_without_call_raises():
    class Empty(Layer):
        dims: int

    with pytest.raises(TypeError, match=r"`Empty` defines no `__call__`. Write `def __call__\(sel"):
        Empty(2)(X, Record(), Record())
    with pytest.raises(TypeError, match="`Empty` defines no `__call__`"):
        nn.Chain(Empty(2))(X, *setup(0, nn.Chain(Empty(2))))


def test_guarded_method_keeps_the_contract_under_another_name():
    class Twice(Layer):
        @guarded
        def backward(self, x, ps, st):
            return (x, st, "more") if ps is None else (2 * x, st)

    np.testing.assert_array_equal(Twice().backward(X, Record(), Record())[0], 2 * X)
    with pytest.raises(TypeError, match=r"`Twice` must return the pair \(y, st\), got tuple"):
        Twice().backward(X, None, Record())
    with pytest.raises(TypeError, match="`Twice` is called with three arguments"):
        Twice().backward(X)


def test_super_call_adds_no_path():
    class Loud(nn.Dense):
        def __call__(self, x, ps, st):
            y, st = super().__call__(x, ps, st)
            return 2 * y, st

    model = nn.Chain(Loud(2, 3))
    ps, st = setup(0, model)
    plain, _ = nn.Dense(2, 3)(X, ps.layer_1, st.layer_1)
    np.testing.assert_array_equal(model(X, ps, st)[0], 2 * plain)
    with pytest.raises(ValueError, match=r"`Loud` \(at `layer_1`\) expects the last axis"):
        model(jnp.ones((1, 4), jnp.float32), ps, st)


def test_model_crosses_jit_without_static_arguments_and_equal_models_share_a_trace():
    traces = []

    @jax.jit
    def forward(model, ps, st, x):
        traces.append(model)
        return model(x, ps, st)[0]

    def build():
        return nn.Chain(nn.Dense(2, 3, nn.tanh), Scale(3))

    ps, st = setup(0, build())
    y = forward(build(), ps, st, X)
    np.testing.assert_allclose(y, build()(X, ps, st)[0], rtol=1e-6)
    forward(build(), ps, st, X)
    assert len(traces) == 1
    forward(nn.Chain(nn.Dense(2, 3, nn.relu), Scale(3)), ps, st, X)
    assert len(traces) == 2


def test_jit_of_the_model_itself():
    model = nn.Dense(2, 3)
    ps, st = setup(0, model)
    np.testing.assert_allclose(jax.jit(model)(X, ps, st)[0], model(X, ps, st)[0], rtol=1e-6)


def test_shared_layer_object_gets_parameters_of_its_own_at_each_place():
    dense = nn.Dense(2, 2)
    model = nn.Chain(dense, dense)
    ps, st = setup(0, model)
    assert not jnp.array_equal(ps.layer_1.weight, ps.layer_2.weight)
    w, b = np.asarray(ps.layer_1.weight), np.asarray(ps.layer_1.bias)
    v, c = np.asarray(ps.layer_2.weight), np.asarray(ps.layer_2.bias)
    expected = (np.asarray(X) @ w.T + b) @ v.T + c
    np.testing.assert_allclose(model(X, ps, st)[0], expected, rtol=1e-5)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class OwnParameters:
    """A user's class as parameters."""

    weight: Any
    bias: Any


@pytest.mark.parametrize(
    "kind", [DensePs, OwnParameters, lambda **ps: Record(ps), lambda **ps: ComponentArray(ps)]
)
def test_parameters_of_any_class_with_the_right_attributes(kind):
    model = nn.Dense(2, 1, nn.tanh)
    ps = kind(weight=jnp.asarray([[3.0, -1.0]], jnp.float32), bias=jnp.ones(1, jnp.float32))

    def loss(ps):
        return model(X, ps, Record())[0][0, 0]

    value, gradient = jax.jit(jax.value_and_grad(loss))(ps)
    assert type(gradient) is type(ps)
    slope = 1.0 - np.tanh(2.0) ** 2  # 3·1 - 1·2 + 1 = 2
    np.testing.assert_allclose(value, np.tanh(2.0), rtol=1e-6)
    np.testing.assert_allclose(gradient.weight, slope * np.asarray(X), rtol=1e-5)
    np.testing.assert_allclose(gradient.bias, [slope], rtol=1e-5)
