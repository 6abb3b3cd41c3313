import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ops
from tests.conftest import needs_x64


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def test_layer_turns_as_luxs_test_expects(dtype):
    # A layer of Lux on (16, 1, 10, 2), features first: the same memory, features last.
    x = jnp.arange(1, 321, dtype=dtype).reshape(2, 10, 1, 16)
    angles = np.arange(10)[:, None] * 10000.0 ** (-np.arange(0, 16, 2) / 16)
    cos, sin = (np.concatenate([f(angles)] * 2, axis=1)[:, None] for f in (np.cos, np.sin))
    half = np.concatenate([-np.asarray(x)[..., 8:], np.asarray(x)[..., :8]], axis=-1)
    for variant in (True, False):
        layer = nn.RotaryPositionalEmbedding(16, max_sequence_length=10, low_memory_variant=variant)
        ps, st = made(layer, dtype)
        y, _ = layer(x, ps, st)
        np.testing.assert_allclose(y, np.asarray(x) * cos + half * sin, rtol=1e-4, atol=1e-3)
        assert st.cos_cache.shape == st.sin_cache.shape == (10, 8 if variant else 16)


def test_caches_have_the_dtype_of_setup_and_the_default_length():
    _, st = made(nn.RotaryPositionalEmbedding(2), jnp.float16)
    assert st.cos_cache.shape == (4096, 1) and st.cos_cache.dtype == jnp.float16
    assert made(nn.RotaryPositionalEmbedding(2), jnp.complex64)[1].sin_cache.dtype == jnp.float32


def test_features_beyond_dim_are_left_as_they_are(dtype):
    layer = nn.RotaryPositionalEmbedding(4, max_sequence_length=5)
    ps, st = made(layer, dtype)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 1, 7)), dtype)
    y, _ = layer(x, ps, st)
    np.testing.assert_array_equal(y[..., 4:], x[..., 4:])
    np.testing.assert_array_equal(y[..., :4], layer(x[..., :4], ps, st)[0])


def test_layer_at_positions_and_unbatched(dtype):
    layer = nn.RotaryPositionalEmbedding(4, max_sequence_length=5)
    ps, st = made(layer, dtype)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 1, 4)), dtype)
    y, _ = layer(x, ps, st)
    np.testing.assert_array_equal(layer(x[1], ps, st)[0], y[1])
    later, _ = layer((x[:, 3:], jnp.asarray([3, 4])), ps, st)
    np.testing.assert_array_equal(later, y[:, 3:])
    outside, _ = layer((x[:, 3:], jnp.asarray([-1, 5])), ps, st)
    assert np.isnan(outside).all()


def test_base_reaches_the_caches():
    _, st = made(nn.RotaryPositionalEmbedding(4, max_sequence_length=3, base=100))
    want = ops.compute_rotary_embedding_params(4, 3, base=100)[1]
    np.testing.assert_array_equal(st.sin_cache, want)
    np.testing.assert_allclose(st.sin_cache[1], np.sin([1.0, 0.1]), rtol=1e-6)


@needs_x64
def test_layer_is_as_wide_as_the_wider():
    layer = nn.RotaryPositionalEmbedding(2, max_sequence_length=3)
    ps, st = made(layer, jnp.float64)
    assert layer(jnp.ones((3, 1, 3), jnp.float32), ps, st)[0].dtype == jnp.float64


@pytest.mark.parametrize("dim", [0, 3, -2, 2.0])
def test_size_that_is_not_even_and_positive_is_an_error(dim):
    with pytest.raises(ValueError, match="`dim` to be an even number of at least 2, got"):
        nn.RotaryPositionalEmbedding(dim)


@pytest.mark.parametrize("options", [{"max_sequence_length": 0}, {"base": 0}, {"base": -1.0}])
def test_length_or_base_that_is_not_positive_is_an_error(options):
    text = "`(max_sequence_length|base)` to be an? (integer of at least 1|number above 0), got"
    with pytest.raises(ValueError, match=text):
        nn.RotaryPositionalEmbedding(2, **options)


@pytest.mark.parametrize("shape", [(2, 3, 1, 3), (2, 6, 1, 4), (3, 4)])
def test_input_of_another_shape_is_an_error(shape):
    layer = nn.RotaryPositionalEmbedding(4, max_sequence_length=5)
    text = r"at most 5 time steps .* at least 4 features \(`dim`\), got shape \("
    with pytest.raises(ValueError, match=text):
        layer(jnp.ones(shape, jnp.float32), *made(layer))
    with pytest.raises(TypeError, match="an array, or a pair of an array and positions, got str"):
        layer("x", *made(layer))
