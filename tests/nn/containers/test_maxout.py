import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn

pytestmark = pytest.mark.any_precision
X = np.asarray([[1.0, -2.0], [0.5, 3.0]], np.float32)


def made(layer):
    return lux.setup(jax.random.key(0), layer)


def test_maxout_is_the_elementwise_maximum():
    model = nn.Maxout(lambda x: x, lambda x: 2 * x, lambda x: 0 * x - 1)
    np.testing.assert_array_equal(model(X, *made(model))[0], [[2.0, -1.0], [1.0, 6.0]])


def test_maxout_of_a_function_and_a_number_makes_its_layers():
    model = nn.Maxout(lambda: nn.Dense(2, 3), 4)
    assert model == nn.Maxout(*[nn.Dense(2, 3)] * 4)
    ps, st = made(model)
    outputs = [nn.Dense(2, 3)(X, inner, lux.Record())[0] for inner in ps.values()]
    assert len(outputs) == 4 and not np.array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(model(X, ps, st)[0], np.max(outputs, 0))


def test_maxout_of_one_layer_is_that_layer():
    model = nn.Maxout(nn.NoOpLayer())
    np.testing.assert_array_equal(model(X, *made(model))[0], X)


def test_maxout_passes_nan_on():
    model = nn.Maxout(nn.NoOpLayer(), lambda x: x * 0)
    y, _ = model(np.asarray([np.nan, -1.0], np.float32), *made(model))
    assert np.isnan(y[0]) and y[1] == 0


def test_maxout_without_layers_is_an_error():
    with pytest.raises(ValueError, match="`Maxout` expects at least one layer, got none"):
        nn.Maxout()
    with pytest.raises(ValueError, match="`Maxout` expects at least one layer, got none"):
        nn.Maxout(lambda: nn.Dense(1, 1), 0)


def test_maxout_of_different_shapes_is_an_error_and_never_broadcast():
    model = nn.Maxout(nn.Dense(2, 3), nn.Dense(2, 1))
    text = r"expects all its layers to return one shape, got float32\[2,3\] and float32\[2,1\]"
    with pytest.raises(ValueError, match=text):
        model(X, *made(model))


def test_maxout_of_complex_numbers_is_an_error():
    model = nn.Maxout(nn.NoOpLayer(), nn.NoOpLayer())
    text = r"`Maxout` expects real outputs, since complex numbers have no order, got complex64\[2\]"
    with pytest.raises(TypeError, match=text):
        model(jnp.ones(2, jnp.complex64), *made(model))
