import operator

import jax
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn

pytestmark = pytest.mark.any_precision
X = np.asarray([[1.0, -2.0], [0.5, 3.0]], np.float32)


def made(layer):
    return lux.setup(jax.random.key(0), layer)


def test_branch_layer_returns_the_tuple_of_outputs():
    model = nn.BranchLayer(nn.NoOpLayer(), nn.Dense(2, 3), lambda x: 2 * x)
    ps, st = made(model)
    first, second, third = model(X, ps, st)[0]
    np.testing.assert_array_equal(first, X)
    np.testing.assert_array_equal(second, nn.Dense(2, 3)(X, ps.layer_2, lux.Record())[0])
    np.testing.assert_array_equal(third, 2 * X)


def test_branch_layer_gives_a_tuple_to_each_layer_as_a_whole():
    model = nn.BranchLayer(lambda pair: pair[0], lambda pair: pair[1])
    first, second = model((X, 3 * X), *made(model))[0]
    np.testing.assert_array_equal((first, second), (X, 3 * X))


def test_branch_layer_fuses_the_outputs_in_order():
    model = nn.BranchLayer(lambda x: 3 * x, nn.NoOpLayer(), fusion=operator.sub)
    np.testing.assert_array_equal(model(X, *made(model))[0], 2 * X)


def test_branch_layer_as_fusion_gets_one_tuple():
    fusion = nn.WrappedFunction(lambda parts: parts[0] * parts[1])
    model = nn.BranchLayer(a=nn.Dense(2, 3), b=nn.Dense(2, 3), fusion=fusion)
    ps, st = made(model)
    assert list(ps) == ["layers", "fusion"] and list(ps.layers) == ["a", "b"]
    a, b = (nn.Dense(2, 3)(X, ps.layers[name], lux.Record())[0] for name in "ab")
    y, new = model(X, ps, st)
    np.testing.assert_array_equal(y, a * b)
    assert jax.tree.structure(new) == jax.tree.structure(st)


def test_branch_layer_of_no_function_as_fusion_is_an_error():
    with pytest.raises(TypeError, match="`BranchLayer` expects `fusion` to be a function, a layer"):
        nn.BranchLayer(nn.NoOpLayer(), fusion="add")
