import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.core.layers import Pair, Running, Scale

pytestmark = pytest.mark.any_precision
X = jnp.asarray([[1.0, -2.0], [0.5, 3.0]], jnp.float32)


class Bare(lux.Layer):
    """A container that keeps its child's parameters in a form of its own."""

    layer: Any

    def initial_parameters(self, key, dtype):
        inner = self.layer.initial_parameters(key, dtype)
        return lux.Record(double=jax.tree.map(lambda a: 2 * a, inner))

    def __call__(self, x, ps, st):
        y, inner = lux.apply(self.layer, x, jax.tree.map(lambda a: a / 2, ps.double), st.layer)
        return y, st | {"layer": inner}


class Shifted(lux.Layer):
    """A container with a parameter of its own."""

    layer: Any

    def initial_parameters(self, key, dtype):
        return super().initial_parameters(key, dtype) | {"shift": jnp.ones((1, 2), dtype)}

    def __call__(self, x, ps, st):
        y, inner = lux.apply(self.layer, x + ps.shift, ps.layer, st.layer)
        return y, st | {"layer": inner}


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def visited(model):
    seen = []

    def look(layer, ps, st, path):
        seen.append((".".join(path), repr(layer), list(ps)))
        return layer, ps, st

    ps, st = made(model)
    same = nn.layer_map(look, model, ps, st)
    assert same[0] == model
    assert jax.tree.structure(same[1:]) == jax.tree.structure((ps, st))
    return seen


def known(t, u, physics, terms):
    return physics.rate * u - terms.loss(u)


DENSE = nn.Dense(2, 2)
WEIGHTS = ["weight", "bias"]


@pytest.mark.parametrize(
    ("model", "leaves"),
    [
        (DENSE, [("", "Dense(2, 2)", WEIGHTS)]),
        (nn.Chain(), [("", "Chain()", [])]),
        (
            nn.Chain(DENSE, nn.Chain(DENSE, nn.relu)),
            [
                ("layer_1", "Dense(2, 2)", WEIGHTS),
                ("layer_2.layer_1", "Dense(2, 2)", WEIGHTS),
                ("layer_2.layer_2", "WrappedFunction(relu)", []),
            ],
        ),
        (
            nn.Parallel(nn.WrappedFunction(sum), DENSE, DENSE),
            [
                ("layers.layer_1", "Dense(2, 2)", WEIGHTS),
                ("layers.layer_2", "Dense(2, 2)", WEIGHTS),
                ("connection", "WrappedFunction(sum)", []),
            ],
        ),
        (nn.SkipConnection(DENSE, operator.add), [("", "Dense(2, 2)", WEIGHTS)]),
        (
            nn.SkipConnection(DENSE, nn.WrappedFunction(sum)),
            [("layers", "Dense(2, 2)", WEIGHTS), ("connection", "WrappedFunction(sum)", [])],
        ),
        (
            ode.NeuralODE(nn.RepeatedLayer(nn.Chain(DENSE, nn.tanh)), (0.0, 1.0)),
            [
                ("layer_1", "Dense(2, 2)", WEIGHTS),
                ("layer_2", "WrappedFunction(tanh)", []),
            ],
        ),
        (
            Pair(DENSE, (Running(2), Scale(2))),
            [
                ("first", "Dense(2, 2)", WEIGHTS),
                ("rest.layer_1", "Running(2)", []),
                ("rest.layer_2", "Scale(2)", ["scale"]),
            ],
        ),
        (
            ode.UDE(known, {"loss": DENSE}, (0.0, 1.0), {"rate": 0.5}),
            [("terms.loss", "Dense(2, 2)", WEIGHTS)],
        ),
        (Shifted(DENSE), [("layer", "Dense(2, 2)", WEIGHTS)]),
        (nn.Chain(Bare(DENSE)), [("layer_1", "Bare(Dense(2, 2))", ["double"])]),
        (
            nn.Chain(nn.FrozenLayer(DENSE, "bias")),
            [("layer_1", "FrozenLayer(Dense(2, 2), ('bias',))", ["weight"])],
        ),
    ],
    ids=repr,
)
def test_layer_map_visits_every_leaf_with_its_trees_and_path(model, leaves):
    assert visited(model) == leaves


def test_layer_map_builds_containers_around_new_layers_and_trees():
    def widen(layer, ps, st, path):
        if path != ("layer_2", "layer_1"):
            return layer, ps, st
        new = nn.Dense(2, 5)
        return new, *made(new)

    model = nn.Chain(DENSE, nn.Chain(DENSE, nn.relu))
    ps, st = made(model)
    new, new_ps, new_st = nn.layer_map(widen, model, ps, st)
    assert new == nn.Chain(DENSE, nn.Chain(nn.Dense(2, 5), nn.relu))
    assert new(X, new_ps, new_st)[0].shape == (2, 5)
    assert new_ps.layer_1.weight is ps.layer_1.weight


def test_layer_map_keeps_parameters_that_are_a_containers_own():
    model = nn.Chain(Shifted(DENSE))
    ps, st = made(model)
    zero = lambda layer, ps, st, path: (layer, jax.tree.map(jnp.zeros_like, ps), st)
    _, ps, _ = nn.layer_map(zero, model, ps, st)
    np.testing.assert_array_equal(ps.layer_1.shift, [[1.0, 1.0]])
    assert not ps.layer_1.layer.weight.any()


def test_layer_map_takes_a_flat_view():
    model = nn.Chain(DENSE, DENSE)
    ps, st = made(model)
    keep = lambda layer, ps, st, path: (layer, ps, st)
    _, got, _ = nn.layer_map(keep, model, lux.ComponentArray(ps), st)
    assert isinstance(got, lux.Record) and jax.tree.structure(got) == jax.tree.structure(ps)
    np.testing.assert_array_equal(got.layer_2.weight, ps.layer_2.weight)


def test_layer_map_of_a_layer_that_cannot_be_built_anew_is_an_error():
    class Made(lux.Layer):
        dims: int

        def sublayers(self):
            return {"made": Scale(self.dims)}

    change = lambda layer, ps, st, path: (Scale(3), ps, st)
    with pytest.raises(TypeError, match="`Made` cannot take another layer as `made`"):
        nn.layer_map(change, Made(2), *made(Made(2)))
