import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn, precision
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def shape(layer, *x):
    ps, st = jax.eval_shape(lambda: made(layer))
    return jax.eval_shape(layer, jax.ShapeDtypeStruct(x, jnp.float32), ps, st)[0].shape


def filled(layer, weight, bias=0.0):
    """The layer's parameters with one number everywhere."""
    ps, st = made(layer)
    return lux.Record(
        weight=jnp.full_like(ps.weight, weight), bias=jnp.full_like(ps.bias, bias)
    ), st


@pytest.mark.parametrize("cross_correlation", [False, True])
def test_conv_asymmetric_padding_as_in_lux_tests(cross_correlation):
    # Lux 1.31, test/core_layers/conv_tests.jl, "Asymmetric Padding".
    layer = nn.Conv(
        (3, 3), 1, 1, nn.relu, padding=((0, 1), (1, 2)), cross_correlation=cross_correlation
    )
    y = layer(jnp.ones((1, 28, 28, 1), jnp.float32), *filled(layer, 1.0))[0][0, :, :, 0]
    assert y.shape == (27, 29)
    corners = [y[0, 0], y[1, 1], y[-1, 0], y[0, -1], y[0, -2], y[-1, -1]]
    np.testing.assert_allclose(corners, [6, 9, 4, 3, 6, 2])


@any_precision
@pytest.mark.parametrize("size", [(3, 3), (3, 1), (1, 3)])
def test_conv_of_one_bright_pixel_is_the_kernel_as_in_lux_tests(size):
    # Lux 1.31, "Conv with non quadratic window": the mark of a true convolution.
    layer = nn.Conv(size, 1, 1, use_bias=False)
    ps, st = made(layer)
    x = jnp.zeros((1, 7, 7, 1), jnp.float32).at[0, 3, 3, 0].set(1.0)
    y = layer(x, ps, st)[0][0, :, :, 0]
    low = [(n - m) // 2 for n, m in zip(y.shape, size, strict=True)]
    want = np.zeros(y.shape, np.float32)
    want[low[0] : low[0] + size[0], low[1] : low[1] + size[1]] = ps.weight[0, 0]
    np.testing.assert_allclose(y, want, rtol=1e-6)
    crossed = nn.Conv(size, 1, 1, use_bias=False, cross_correlation=True)
    np.testing.assert_allclose(crossed(x, ps, st)[0][0, :, :, 0], want[::-1, ::-1], rtol=1e-6)


@pytest.mark.parametrize("size", [(1,), (2,), (3,), (2, 3), (1, 2, 3)])
@pytest.mark.parametrize("options", ["stride 1", "dilation", "stride 3"])
def test_conv_same_pad_sizes_as_in_lux_tests(size, options):
    # Lux 1.31, "Conv SamePad kernelsize".
    stride, dilation = 1, 1
    if options == "dilation":
        dilation = tuple(max(k // 2, 1) for k in size)
    elif options == "stride 3":
        stride = 3
    layer = nn.Conv(size, 1, 1, padding=nn.SamePad(), stride=stride, dilation=dilation)
    spatial = [k + 3 for k in size]
    want = [math.ceil(n / stride) for n in spatial]
    assert shape(layer, 1, *spatial, 1) == (1, *want, 1)


def test_same_pad_puts_the_larger_half_first():
    layer = nn.Conv((4,), 1, 1, padding=nn.SamePad(), cross_correlation=True)
    y, _ = layer(jnp.ones((1, 5, 1), jnp.float32), *filled(layer, 1.0))
    assert y[0, :, 0].tolist() == [2.0, 3.0, 4.0, 4.0, 3.0]
    assert nn.SamePad().pairs([0, 1, 4, 5]) == ((0, 0), (1, 0), (2, 2), (3, 2))


def test_conv_grouped_sizes_as_in_lux_tests():
    # Lux 1.31, "Grouped Conv" and "Depthwise Conv", whose weights have the axes reversed.
    for axes in (1, 2, 3):
        layer = nn.Conv((3,) * axes, 6, 2, groups=2)
        assert made(layer)[0].weight.shape == (2, 3, *(3,) * axes)
        assert shape(layer, 1, *(4,) * axes, 6) == (1, *(2,) * axes, 2)
    depthwise = nn.Conv((2, 2), 3, 15, groups=3)
    assert shape(depthwise, 2, 4, 4, 3) == (2, 3, 3, 15)
    assert lux.parameter_length(depthwise) == 4 * 15 + 15


@any_precision
def test_conv_periodic_padding_is_equivariant_to_shifts(dtype):
    layer = nn.Conv((3, 2), 2, 3, nn.tanh, padding=nn.SamePad(), padding_mode="circular")
    ps, st = made(layer, dtype)
    x = jax.random.normal(jax.random.key(1), (1, 5, 4, 2), dtype)
    shifted = layer(jnp.roll(x, (2, 1), (1, 2)), ps, st)[0]
    tolerance = 32 * float(jnp.finfo(dtype).eps)
    want = jnp.roll(layer(x, ps, st)[0], (2, 1), (1, 2))
    np.testing.assert_allclose(shifted, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("activation", "gain"), [(nn.identity, 1.0), (nn.relu, 2**0.5), (nn.tanh, 5 / 3)]
)
def test_conv_starts_within_the_bounds_of_its_fan_and_activation(activation, gain):
    ps, _ = made(nn.Conv((2, 4), 4, 200, activation, groups=2))
    bound = gain * (3 / 16) ** 0.5
    assert 0.98 * bound < jnp.abs(ps.weight).max() <= bound * (1 + 1e-6)
    assert 0.9 * 0.25 < jnp.abs(ps.bias).max() <= 0.25


def test_conv_without_bias_and_with_other_initialisers():
    assert list(made(nn.Conv((2,), 2, 3, use_bias=False))[0]) == ["weight"]
    ones, zeros = initializers.ones, initializers.zeros
    ps, _ = made(nn.Conv((2,), 2, 3, init_weight=ones, init_bias=zeros))
    assert (ps.weight == 1).all() and (ps.bias == 0).all()


@needs_x64
@pytest.mark.parametrize(("of_ps", "of_x"), [("float32", "float64"), ("float64", "float32")])
def test_conv_of_mixed_dtypes_is_as_wide_as_the_wider(of_ps, of_x):
    layer = nn.Conv((2,), 2, 3, nn.tanh)
    ps, st = made(layer, of_ps)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 2)), of_x)
    y, _ = layer(x, ps, st)
    assert y.dtype == jnp.float64
    np.testing.assert_allclose(y, layer(*precision.f64((x, ps)), st)[0], rtol=1e-15)


def test_conv_integer_input_is_promoted_or_named(dtype):
    layer = nn.Conv((2,), 1, 1)
    x = jnp.ones((1, 3, 1), jnp.int32)
    assert layer(x, *made(layer, dtype))[0].dtype == dtype
    text = r"`Conv` has parameters of float.. and got `x` of int32"
    with precision.match_eltype("error"), pytest.raises(TypeError, match=text):
        layer(x, *made(layer, dtype))


def test_conv_wrong_channels_or_parameters_name_layer_and_shape():
    layer = nn.Conv((3, 3), 2, 4)
    text = r"`Conv` expects the last axis of `x` to be 2 \(`in_dims`\), got shape \(1, 5, 5, 3\)"
    with pytest.raises(ValueError, match=text):
        layer(jnp.ones((1, 5, 5, 3), jnp.float32), *made(layer))
    text = r"`Conv` expects `x` \(batch, \*spatial, in_dims\) with 2 spatial axes for kernel_size"
    with pytest.raises(ValueError, match=text):
        layer(jnp.ones((5, 5, 2), jnp.float32), *made(layer))
    text = r"parameter `weight` to be \(4, 2, 3, 3\), got shape \(4, 2, 2, 2\)"
    with pytest.raises(ValueError, match=text):
        layer(jnp.ones((1, 5, 5, 2), jnp.float32), *made(nn.Conv((2, 2), 2, 4)))


def test_conv_of_a_kernel_larger_than_the_image_names_the_layer():
    layer = nn.Chain(nn.Conv((3, 3), 2, 4))
    with pytest.raises(ValueError, match=r"got \(2, 5\), with padding \(2, 5\)") as caught:
        layer(jnp.ones((1, 2, 5, 2), jnp.float32), *made(layer))
    assert any("`Conv` (at `layer_1`)" in note for note in caught.value.__notes__)


BAD = [
    (((3,), 2.0, 3), {}, TypeError, "`in_dims` to be an integer.*, got 2.0"),
    (((3,), 2, None), {}, TypeError, "`out_dims` to be an integer.*, got None"),
    (((3,), 2, -1), {}, ValueError, "`out_dims` to be an integer of at least 0, got -1"),
    (((3,), 2, 3, "tanh"), {}, TypeError, "`activation` to be a function.*got 'tanh'"),
    (((3,), 2, 3), {"precision": "tf32"}, ValueError, '"highest", "high" or "default", got'),
    (((2, 2), 3, 10), {"groups": 2}, ValueError, "to divide `in_dims` and `out_dims`, got 2 for 3"),
    (((2, 2), 2, 9), {"groups": 2}, ValueError, "to divide .*got 2 for 2 and 9"),
    (((2, 2), 2, 2), {"groups": 0}, ValueError, "`groups` to be an integer of at least 1, got 0"),
    (((2, 2), 2, 2), {"groups": 1.0}, TypeError, "`groups` to be an integer.*, got 1.0"),
    ((3, 2, 2), {}, TypeError, r"window to be a tuple of 1 to 3 integers.*got 3\. Write"),
    (((0, 3), 2, 2), {}, ValueError, r"`window` of at least 1.*got \(0, 3\)"),
    (((3, 3), 2, 2), {"stride": 0}, ValueError, "`stride` of at least 1.*got 0"),
    (((3, 3), 2, 2), {"dilation": (1, 0)}, ValueError, r"`dilation` of at least 1.*got \(1, 0\)"),
    (((3, 3), 2, 2), {"padding": (0, 1, 1, 2)}, ValueError, r"a pair \(low, high\).*got \(0, 1, 1"),
    (((3, 3), 2, 2), {"padding": nn.SamePad}, TypeError, "`padding` of integers.*SamePad"),
]


@pytest.mark.parametrize("layer", [nn.Conv, nn.ConvTranspose])
@pytest.mark.parametrize(("arguments", "options", "error", "text"), BAD)
def test_conv_options_out_of_bounds_are_an_error(layer, arguments, options, error, text):
    with pytest.raises(error, match=f"`{layer.__name__}` expects .*{text}"):
        layer(*arguments, **options)


def test_conv_padding_mode_is_checked():
    with pytest.raises(ValueError, match="`padding_mode` to be \"constant\", .*got 'zeros'"):
        nn.Conv((3,), 2, 2, padding_mode="zeros")
