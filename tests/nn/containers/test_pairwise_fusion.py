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


def double(x):
    return 2 * x


def test_pairwise_fusion_joins_the_output_with_the_next_input():
    model = nn.PairwiseFusion(operator.sub, double, nn.NoOpLayer())
    y, _ = model((X, X + 1, X + 3), *made(model))
    np.testing.assert_array_equal(y, (2 * X - (X + 1)) - (X + 3))


def test_pairwise_fusion_takes_one_input_each_time():
    model = nn.PairwiseFusion(operator.add, double, double)
    np.testing.assert_array_equal(model(X, *made(model))[0], 7 * X)


def test_pairwise_fusion_keeps_parameters_and_states_by_name():
    model = nn.PairwiseFusion(operator.add, first=nn.Dense(2, 3), then=nn.Dense(3, 2))
    ps, st = made(model)
    assert list(ps) == list(st) == ["first", "then"]
    ones = np.ones((2, 3), np.float32)
    inner = nn.Dense(2, 3)(X, ps.first, lux.Record())[0] + ones
    expected = nn.Dense(3, 2)(inner, ps.then, lux.Record())[0] + X
    np.testing.assert_array_equal(model((X, ones, X), ps, st)[0], expected)


def test_pairwise_fusion_without_layers_returns_its_input():
    model = nn.PairwiseFusion(operator.add)
    np.testing.assert_array_equal(model((X,), *made(model))[0], X)


def test_pairwise_fusion_of_another_number_of_inputs_is_an_error():
    model = nn.PairwiseFusion(operator.add, double, double)
    text = r"`PairwiseFusion` expects a tuple of 3 inputs, one more than there are layers, got 2\. "
    with pytest.raises(ValueError, match=text):
        model((X, X), *made(model))


def test_pairwise_fusion_of_a_list_is_an_error():
    model = nn.PairwiseFusion(operator.add, double)
    with pytest.raises(TypeError, match="`PairwiseFusion` expects a tuple of 2 inputs, got a list"):
        model([X, X], *made(model))


@pytest.mark.parametrize("connection", [None, nn.NoOpLayer()])
def test_pairwise_fusion_needs_a_function(connection):
    text = "`PairwiseFusion` expects `connection` to be a function of two arguments, got"
    with pytest.raises(TypeError, match=text):
        nn.PairwiseFusion(connection, double)
