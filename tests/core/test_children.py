import operator
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Layer, Record, WrapperLayer, nn, ode, setup
from sciml_lux.core.internal import flat_children
from tests.core.layers import Duck, Pair, Scale

pytestmark = pytest.mark.any_precision
A, B, C = nn.Dense(2, 2), nn.Dense(2, 2, nn.tanh), nn.Dense(2, 2, nn.relu)


class Inner(WrapperLayer):
    layer: Any
    rate: float = 0.5


class Made(Layer):
    """A container whose child is in no field."""

    dims: int

    def sublayers(self):
        return {"made": Scale(self.dims)}


class Twice(Layer):
    """A container that holds its one child in two fields."""

    first: Any
    again: Any

    def sublayers(self):
        return {"layer": self.first}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (nn.Chain(A, B), nn.Chain(C, B)),
        (nn.Chain(first=A, then=B), nn.Chain(first=C, then=B)),
        (nn.Parallel(operator.add, A, B), nn.Parallel(operator.add, C, B)),
        (nn.Parallel(B, A, A), nn.Parallel(B, C, A)),
        (nn.SkipConnection(A, operator.add), nn.SkipConnection(C, operator.add)),
        (nn.SkipConnection(A, B), nn.SkipConnection(C, B)),
        (nn.BranchLayer(A, B, fusion=operator.add), nn.BranchLayer(C, B, fusion=operator.add)),
        (nn.Maxout(A, B), nn.Maxout(C, B)),
        (nn.RepeatedLayer(A, 3, checkpoint=True), nn.RepeatedLayer(C, 3, checkpoint=True)),
        (Inner(A, 0.25), Inner(C, 0.25)),
        (Pair(A, (B, B)), Pair(C, (B, B))),
        (ode.NeuralODE(A, (0.0, 1.0), rtol=1e-3), ode.NeuralODE(C, (0.0, 1.0), rtol=1e-3)),
    ],
)
def test_first_child_is_replaced_and_all_else_stays(before, after):
    children = flat_children(before.sublayers())
    name = next(iter(children))
    got = before.with_sublayers(children | {name: C})
    assert got == after and hash(got) == hash(after) and repr(got) == repr(after)
    assert pickle.loads(pickle.dumps(got)) == after


def test_the_same_layer_at_several_places_is_replaced_by_name():
    model = nn.Chain(A, A, A)
    assert model.with_sublayers(model.sublayers() | {"layer_2": B}) == nn.Chain(A, B, A)
    model = nn.Parallel(A, A, A)
    assert model.with_sublayers({"layers": dict(model.layers), "connection": B}) == nn.Parallel(
        B, A, A
    )
    model = nn.SkipConnection(A, A)
    assert model.with_sublayers({"layers": B, "connection": A}) == nn.SkipConnection(B, A)


def test_tuples_and_names_deep_inside_are_replaced():
    model = Pair(A, (A, A))
    got = model.with_sublayers({"first": A, "rest": (A, B)})
    assert (
        got
        == Pair(A, (A, B))
        == model.with_sublayers({"first": A, "rest.layer_1": A, "rest.layer_2": B})
    )
    known = lambda t, u, physics, terms: terms.loss(u)
    model = ode.UDE(known, {"loss": A, "gain": A}, (0.0, 1.0), {"rate": 0.5})
    got = model.with_sublayers({"terms": {"loss": A, "gain": B}})
    assert got == ode.UDE(known, {"loss": A, "gain": B}, (0.0, 1.0), {"rate": 0.5})


def test_a_layer_that_is_no_subclass_is_a_child_too():
    model = nn.Chain(Scale(2), Duck())
    new = model.with_sublayers(model.sublayers() | {"layer_2": Scale(2)})
    assert new == nn.Chain(Scale(2), Scale(2))


def test_the_new_layer_works():
    model = nn.Chain(A, B).with_sublayers({"layer_1": nn.Dense(2, 5), "layer_2": nn.Dense(5, 1)})
    y, _ = model(jnp.ones((3, 2), jnp.float32), *setup(0, model))
    assert y.shape == (3, 1)


def test_nothing_changed_is_the_layer_itself():
    model = nn.Chain(A, B)
    assert model.with_sublayers(model.sublayers()) is model
    assert A.with_sublayers({}) is A and Made(2).with_sublayers(Made(2).sublayers()) == Made(2)


def test_other_names_are_an_error():
    text = r"`Chain.with_sublayers` expects the layers `layer_1`, `layer_2`, got `layer_1`\. Pass"
    with pytest.raises(ValueError, match=text):
        nn.Chain(A, B).with_sublayers({"layer_1": C})


def test_children_that_are_made_anew_are_an_error():
    text = r"`Made` cannot take another layer as `made`: its fields hold it nowhere\. Define `with"
    with pytest.raises(TypeError, match=text):
        Made(2).with_sublayers({"made": Scale(3)})


def test_a_child_held_twice_is_an_error():
    text = "`Twice` cannot take another layer as `layer`: its fields hold it more than once"
    with pytest.raises(TypeError, match=text):
        Twice(A, A).with_sublayers({"layer": B})


def test_a_field_that_cannot_be_hashed_is_an_error():
    class Unhashable(Duck):
        __hash__ = None

    with pytest.raises(TypeError, match="`Chain.layers` must be hashable"):
        nn.Chain(A).with_sublayers({"layer_1": Unhashable()})


def test_states_of_a_rebuilt_model_are_those_of_its_layers():
    model = Pair(Scale(2), (Scale(2),)).with_sublayers({"first": Scale(1), "rest": (A,)})
    ps, _ = setup(jax.random.key(0), model)
    assert isinstance(ps, Record) and ps.first.scale.shape == (1,)
    np.testing.assert_array_equal(ps.rest.layer_1.weight.shape, (2, 2))
