import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def shape(layer, *x):
    ps, st = jax.eval_shape(lambda: made(layer))
    return jax.eval_shape(layer, jax.ShapeDtypeStruct(x, jnp.float32), ps, st)[0].shape


@any_precision
@pytest.mark.parametrize("flip", [False, True])
def test_conv_transpose_is_the_transpose_of_conv_with_the_same_weight(flip, dtype):
    options = {"stride": 2, "padding": 1, "groups": 2, "use_bias": False, "cross_correlation": flip}
    there, back = nn.Conv((3, 2), 2, 4, **options), nn.ConvTranspose((3, 2), 4, 2, **options)
    ps, st = made(there, dtype)
    y, pull = jax.vjp(lambda x: there(x, ps, st)[0], jnp.zeros((2, 7, 6, 2), dtype))
    x = jax.random.normal(jax.random.key(1), y.shape, dtype)
    restored, _ = back(x, ps, st)
    assert restored.shape == (2, 7, 6, 2)
    tolerance = 32 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(restored, pull(x)[0], rtol=tolerance, atol=tolerance)


@any_precision
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (4, 1), (4, 2), (3, 3), (5, 3)])
def test_conv_transpose_with_same_pad_is_the_transpose_of_conv_with_that_padding(kernel, stride):
    # The padding that the docstrings name, of which the larger half comes first.
    total = kernel - stride
    explicit = ((total - total // 2, total // 2),)
    same = nn.ConvTranspose((kernel,), 1, 1, stride=stride, padding=nn.SamePad(), use_bias=False)
    there = nn.Conv((kernel,), 1, 1, stride=stride, padding=explicit, use_bias=False)
    ps, st = made(there)
    x = jax.random.normal(jax.random.key(1), (1, 5, 1), jnp.float32)
    restored, _ = same(x, ps, st)
    _, pull = jax.vjp(lambda y: there(y, ps, st)[0], jnp.zeros((1, 5 * stride, 1), jnp.float32))
    np.testing.assert_allclose(restored, pull(x)[0], rtol=1e-5, atol=1e-6)


def test_conv_transpose_sizes_as_in_lux_tests():
    # Lux 1.31, test/core_layers/conv_tests.jl, "ConvTranspose".
    same = nn.SamePad()
    restored = nn.Chain(nn.Conv((3, 3), 1, 1), nn.ConvTranspose((3, 3), 1, 1))
    assert shape(restored, 1, 5, 5, 1) == (1, 5, 5, 1)
    plain = nn.ConvTranspose((3, 3), 2, 4, padding=same)
    grouped = nn.ConvTranspose((3, 3), 2, 4, groups=2, padding=same)
    assert made(plain)[0].weight.shape == (2, 4, 3, 3)
    assert made(grouped)[0].weight.shape == (2, 2, 3, 3)
    assert shape(plain, 3, 10, 10, 2) == shape(grouped, 3, 10, 10, 2) == (3, 10, 10, 4)
    assert shape(nn.ConvTranspose((3,), 2, 4, padding=same, groups=2), 1, 10, 2) == (1, 10, 4)
    volume = nn.ConvTranspose((3, 5, 3), 3, 6, padding=same, groups=3)
    assert shape(volume, 2, 10, 11, 12, 3) == (2, 10, 11, 12, 6)
    # Lux issue 534.
    assert shape(nn.ConvTranspose((3,), 2, 1, padding=same, stride=2), 1, 2, 2) == (1, 4, 1)
    short = shape(nn.ConvTranspose((3, 5), 3, 6, stride=3), 2, 10, 11, 3)
    long = shape(nn.ConvTranspose((3, 5), 3, 6, stride=3, outpad=(1, 0)), 2, 10, 11, 3)
    assert (long[1] - short[1], long[2] - short[2]) == (1, 0)


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)])
def test_conv_transpose_same_pad_multiplies_the_size_by_the_stride(stride, dilation):
    layer = nn.ConvTranspose((4,), 1, 1, stride=stride, dilation=dilation, padding=nn.SamePad())
    assert shape(layer, 1, 5, 1) == (1, 5 * stride, 1)


def test_conv_transpose_size_is_as_documented():
    layer = nn.ConvTranspose((4,), 1, 1, stride=3, dilation=2, padding=((1, 2),), outpad=2)
    assert shape(layer, 1, 5, 1) == (1, (5 - 1) * 3 + 1 + (4 - 1) * 2 - (1 + 2) + 2, 1)


def test_conv_transpose_adds_bias_and_applies_the_activation(dtype):
    layer = nn.ConvTranspose((2,), 1, 2, nn.relu)
    ps = lux.Record(
        weight=jnp.asarray([[[1.0, 2.0], [0.0, -1.0]]], dtype), bias=jnp.asarray([0.5, -1.0], dtype)
    )
    y, _ = layer(jnp.asarray([1.0, -1.0], dtype).reshape(1, 2, 1), ps, lux.Record())
    np.testing.assert_array_equal(y[0], [[2.5, 0.0], [0.0, 0.0], [0.0, 0.0]])


def test_conv_transpose_starts_with_glorot_uniform_and_zeros():
    ps, _ = made(nn.ConvTranspose((5,), 40, 20, nn.relu))
    bound = (6 / (200 + 100)) ** 0.5
    assert 0.98 * bound < jnp.abs(ps.weight).max() <= bound * (1 + 1e-6)
    assert (ps.bias == 0).all()


@pytest.mark.parametrize("dims", [46, 23])
def test_conv_transpose_catches_channel_mismatch_as_in_lux_tests(dims):
    # Lux 1.31, "Catch Channel Mismatch Early", issue 455.
    layer = nn.ConvTranspose((4, 4), 42, 16, stride=2, padding=1)
    with pytest.raises(ValueError, match=r"`ConvTranspose` expects the last axis of `x` to be 42"):
        shape(layer, 3, 28, 28, dims)


def test_conv_transpose_options_out_of_bounds_are_an_error():
    with pytest.raises(ValueError, match="`outpad` below the stride, got 1 and stride 1"):
        nn.ConvTranspose((3,), 1, 1, outpad=1)
    with pytest.raises(ValueError, match="`ConvTranspose` expects `outpad` of at least 0"):
        nn.ConvTranspose((3,), 1, 1, outpad=-1)
    text = (
        r"`SamePad\(\)` to come with a kernel at least as long as the stride, got \(2,\).*stride 3"
    )
    with pytest.raises(ValueError, match=text):
        nn.ConvTranspose((2,), 1, 1, stride=3, padding=nn.SamePad())
    with pytest.raises(ValueError, match="less padding than there is to take away"):
        shape(nn.ConvTranspose((3,), 1, 1, padding=3), 1, 2, 1)
