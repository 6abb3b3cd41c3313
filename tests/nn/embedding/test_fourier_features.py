import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.conftest import needs_x64


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


@pytest.mark.parametrize("trainable", [False, True])
def test_fourier_features_are_cosines_then_sines(trainable, dtype):
    layer = nn.FourierFeatures(2, 3, trainable=trainable)
    ps, st = made(layer, dtype)
    frequencies = (ps if trainable else st).frequencies
    assert len(ps) + len(st) == 1 and frequencies.dtype == dtype
    x = np.asarray([[0.1, -0.2], [0.3, 0.5]], dtype)
    angles = 2 * np.pi * (x @ np.asarray(frequencies).T)
    want = np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)
    np.testing.assert_allclose(layer(jnp.asarray(x), ps, st)[0], want, atol=2e-6)


def test_frequencies_are_normal_with_the_scale():
    drawn = made(nn.FourierFeatures(50, 200, scale=3.0))[1].frequencies
    assert abs(float(drawn.mean())) < 0.12 and abs(float(drawn.std()) - 3.0) < 0.09


def test_frequencies_are_not_trained_unless_asked():
    layer = nn.Chain(nn.FourierFeatures(2, 3), nn.Dense(6, 1))
    ps, _ = made(layer)
    assert lux.parameter_length(ps) == 7 and lux.state_length(layer) == 6


def test_inner_product_of_features_depends_on_the_difference_alone(dtype):
    layer = nn.FourierFeatures(2, 8)
    ps, st = made(layer, dtype)
    x, y, shift = (jnp.asarray(a, dtype) for a in ([0.1, 0.2], [-0.3, 0.4], [0.7, -0.6]))
    kernel = lambda x, y: jnp.sum(layer(x, ps, st)[0] * layer(y, ps, st)[0])
    np.testing.assert_allclose(kernel(x + shift, y + shift), kernel(x, y), atol=5e-6)
    np.testing.assert_allclose(kernel(x, x), 8.0, rtol=1e-6)


@needs_x64
def test_features_are_as_wide_as_input_and_frequencies():
    layer = nn.FourierFeatures(1, 2)
    ps, st = made(layer, jnp.float32)
    y, new = layer(jnp.asarray([0.1], jnp.float64), ps, st)
    assert y.dtype == jnp.float64 and new.frequencies.dtype == jnp.float32


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((0, 2), {}, ValueError, "`in_dims` to be an integer of at least 1, got 0"),
        ((2, 2.5), {}, TypeError, "`num_features` to be an integer.*, got 2.5"),
        ((2, 2), {"scale": 0.0}, ValueError, "`scale` to be a number above 0, got 0.0"),
    ],
)
def test_bad_arguments_are_errors(arguments, options, error, text):
    with pytest.raises(error, match=f"`FourierFeatures` expects {text}"):
        nn.FourierFeatures(*arguments, **options)


def test_bad_inputs_are_errors():
    layer = nn.FourierFeatures(2, 3)
    with pytest.raises(ValueError, match=r"`x` to be 2 \(`in_dims`\), got shape \(5, 3\). Pass"):
        layer(jnp.ones((5, 3), jnp.float32), *made(layer))
    with pytest.raises(TypeError, match="`x` to be real and floating, got int32. Convert"):
        layer(jnp.ones(2, jnp.int32), *made(layer))
