import operator

import jax
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn

pytestmark = pytest.mark.any_precision


def made(layer):
    return lux.setup(jax.random.key(0), layer)


X = np.asarray([[1.0, -2.0], [0.5, 3.0]], np.float32)


def test_skip_connection_adds_the_input_and_passes_the_tree_through():
    model = nn.SkipConnection(nn.Dense(2, 2, nn.tanh), operator.add)
    ps, st = made(model)
    inner, _ = nn.Dense(2, 2, nn.tanh)(X, ps, st)
    np.testing.assert_array_equal(model(X, ps, st)[0], inner + X)


def test_skip_connection_gives_output_first():
    model = nn.SkipConnection(lambda x: 3 * x, operator.sub)
    np.testing.assert_array_equal(model(X, *made(model))[0], 2 * X)


def test_skip_connection_layer_gets_the_pair():
    model = nn.SkipConnection(nn.Dense(2, 2), nn.WrappedFunction(lambda pair: pair[0] - pair[1]))
    ps, st = made(model)
    assert list(ps) == ["layers", "connection"] and list(ps.layers) == ["weight", "bias"]
    inner, _ = nn.Dense(2, 2)(X, ps.layers, st.layers)
    np.testing.assert_array_equal(model(X, ps, st)[0], inner - X)


def test_skip_connection_of_no_layer_is_an_error():
    with pytest.raises(TypeError, match="`SkipConnection` expects layers or functions, got 'x'"):
        nn.SkipConnection("x", operator.add)


def test_parallel_gives_one_input_to_each_layer():
    model = nn.Parallel(operator.sub, lambda x: 2 * x, lambda x: 3 * x)
    y, _ = model((X, X + 1), *made(model))
    np.testing.assert_allclose(y, 2 * X - 3 * (X + 1), rtol=1e-6)


def test_parallel_gives_the_same_input_to_all():
    model = nn.Parallel(None, nn.NoOpLayer(), lambda x: 2 * x)
    first, second = model(X, *made(model))[0]
    np.testing.assert_array_equal(second, 2 * first)


def test_parallel_layer_as_connection_gets_one_tuple():
    joined = nn.WrappedFunction(lambda parts: parts[0] * parts[1])
    model = nn.Parallel(joined, a=nn.Dense(2, 3), b=nn.Dense(2, 3))
    ps, st = made(model)
    assert list(ps) == ["layers", "connection"] and list(ps.layers) == ["a", "b"]
    a, b = (nn.Dense(2, 3)(X, ps.layers[name], lux.Record())[0] for name in "ab")
    y, new = model(X, ps, st)
    np.testing.assert_array_equal(y, a * b)
    assert jax.tree.structure(new) == jax.tree.structure(st)


def test_parallel_wrong_number_of_inputs_is_an_error():
    model = nn.Parallel(operator.add, nn.NoOpLayer(), nn.NoOpLayer())
    text = r"`Parallel` expects a tuple of 2 inputs, one for each layer, got 3\. An input that is"
    with pytest.raises(ValueError, match=text):
        model((X, X, X), *made(model))


def test_no_op_and_wrapped_function_hold_nothing():
    for layer, y in ((nn.NoOpLayer(), X), (nn.WrappedFunction(nn.relu), np.maximum(X, 0))):
        ps, st = made(layer)
        assert len(ps) == len(st) == 0
        np.testing.assert_array_equal(layer(X, ps, st)[0], y)


def test_parallel_of_a_list_is_an_error():
    model = nn.Parallel(operator.add, nn.NoOpLayer(), nn.NoOpLayer())
    with pytest.raises(TypeError, match="tuple of inputs, one for each layer, got a list. Convert"):
        model([X, X], *made(model))
