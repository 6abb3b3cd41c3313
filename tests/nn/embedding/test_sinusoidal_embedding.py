import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def test_frequencies_go_down_in_geometric_progression(dtype):
    layer = nn.SinusoidalPositionalEmbedding(8, min_freq=0.001, max_freq=8.0)
    sigmas = made(layer, dtype)[1].sigmas
    rtol = 4 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(sigmas, [8.0, 0.4, 0.02, 0.001], rtol=rtol)
    _, st = made(nn.SinusoidalPositionalEmbedding(6), dtype)
    np.testing.assert_allclose(st.sigmas, [1.0, 0.01, 0.0001], rtol=rtol)
    _, turned = made(nn.SinusoidalPositionalEmbedding(6, full_turns=True), dtype)
    np.testing.assert_allclose(turned.sigmas, 2 * np.pi * np.asarray(st.sigmas), rtol=rtol)
    assert made(nn.SinusoidalPositionalEmbedding(2, max_freq=3.0), dtype)[1].sigmas.tolist() == [
        3.0
    ]


def test_embedding_is_sines_then_cosines_by_hand(dtype):
    layer = nn.SinusoidalPositionalEmbedding(4, min_freq=0.5, scale=3.0)
    x = jnp.asarray([[0.0, 1.0, 2.5]], dtype)
    y, _ = layer(x, *made(layer, dtype))
    angles = np.asarray(x)[..., None] * [1.0, 0.5]
    want = 3 * np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)
    np.testing.assert_allclose(y, want, rtol=1e-6, atol=1e-6)


def test_embeddings_have_length_one_as_in_luxs_tests(dtype):
    layer = nn.SinusoidalPositionalEmbedding(16, min_freq=0.01)
    y, _ = layer(jnp.arange(10, dtype=dtype), *made(layer, dtype))
    assert y.shape == (10, 16)
    np.testing.assert_allclose((y**2).sum(-1), 1, rtol=1e-5)


def test_scalar_and_integer_positions(dtype):
    layer = nn.SinusoidalPositionalEmbedding(4)
    ps, st = made(layer, dtype)
    y, _ = layer(jnp.asarray(3, jnp.int32), ps, st)
    assert y.shape == (4,) and y.dtype == dtype
    np.testing.assert_array_equal(y, layer(jnp.asarray(3.0, dtype), ps, st)[0])


@pytest.mark.parametrize("dims", [0, -2, 3, 4.0, "4"])
def test_size_that_is_not_even_and_positive_is_an_error(dims):
    with pytest.raises(ValueError, match="`dims` to be an even number of at least 2, got"):
        nn.SinusoidalPositionalEmbedding(dims)


@pytest.mark.parametrize("options", [{"min_freq": 0.0}, {"max_freq": -1.0}, {"min_freq": np.nan}])
def test_frequency_that_is_not_positive_is_an_error(options):
    with pytest.raises(ValueError, match="expects `(min|max)_freq` to be a number above 0, got"):
        nn.SinusoidalPositionalEmbedding(4, **options)


@pytest.mark.parametrize("kind", [jnp.bool_, jnp.complex64])
def test_positions_that_are_no_real_numbers_are_an_error(kind):
    layer = nn.SinusoidalPositionalEmbedding(4)
    with pytest.raises(TypeError, match="`x` to be an array of real numbers, got (bool|complex64)"):
        layer(jnp.ones(3, kind), *made(layer))
    with pytest.raises(TypeError, match="real numbers, got str"):
        layer("x", *made(layer))
