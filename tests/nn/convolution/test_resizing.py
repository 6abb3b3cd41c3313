import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, nn, ops

pytestmark = pytest.mark.any_precision


def called(layer, x):
    return layer(x, Record(), Record())[0]


def shape(layer, *x):
    return jax.eval_shape(lambda x: called(layer, x), jax.ShapeDtypeStruct(x, jnp.float32)).shape


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_upsample_sizes_of_images_as_in_lux_tests(mode):
    # Lux 1.31, test/core_layers/conv_tests.jl, "Upsample".
    for size in ((8, 8), (8, 4)):
        assert shape(nn.Upsample(mode, size=size), 2, 4, 4, 3) == (2, *size, 3)
    assert shape(nn.Upsample(mode, scale=2), 2, 4, 4, 3) == (2, 8, 8, 3)
    assert shape(nn.Upsample(mode, scale=(2, 1)), 2, 4, 4, 3) == (2, 8, 4, 3)


@pytest.mark.parametrize("mode", ["nearest", "trilinear"])
def test_upsample_sizes_of_volumes_as_in_lux_tests(mode):
    assert shape(nn.Upsample(mode, size=(8, 4, 4)), 3, 4, 4, 4, 2) == (3, 8, 4, 4, 2)
    assert shape(nn.Upsample(mode, scale=(2, 1, 1)), 3, 4, 4, 4, 2) == (3, 8, 4, 4, 2)


def test_upsample_hears_align_corners():
    x = jnp.asarray([0.0, 6.0], jnp.float32).reshape(1, 2, 1)
    assert called(nn.Upsample("linear", scale=2), x)[0, :, 0].tolist() == [0.0, 1.5, 4.5, 6.0]
    aligned = nn.Upsample("linear", scale=2, align_corners=True)
    assert called(aligned, x)[0, :, 0].tolist() == [0.0, 2.0, 4.0, 6.0]


def test_upsample_is_nearest_unless_told():
    x = jnp.arange(3, dtype=jnp.int32).reshape(1, 3, 1)
    assert called(nn.Upsample(scale=2), x)[0, :, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_upsample_options_are_checked():
    with pytest.raises(ValueError, match="`Upsample` expects `mode` to be .*got 'cubic'"):
        nn.Upsample("cubic", scale=2)
    for options in ({}, {"scale": 2, "size": 4}):
        with pytest.raises(ValueError, match="`Upsample` expects one of `scale` and `size`, got"):
            nn.Upsample(**options)
    with pytest.raises(ValueError, match="`Upsample` expects `scale` above 0.*got 0"):
        nn.Upsample(scale=0)
    with pytest.raises(ValueError, match=r"`Upsample` expects `size` above 0.*got \(4, -1\)"):
        nn.Upsample(size=(4, -1))


def test_upsample_of_other_axes_names_the_mode():
    text = r'with 2 spatial axes for "bilinear", got shape \(1, 4, 2\)\. Add a batch axis'
    with pytest.raises(ValueError, match=f"`Upsample` expects `x` .*{text}"):
        called(nn.Upsample("bilinear", scale=2), jnp.ones((1, 4, 2), jnp.float32))


def test_pixel_shuffle_sizes_as_in_lux_tests():
    # Lux 1.31, test/core_layers/conv_tests.jl, "PixelShuffle".
    assert shape(nn.PixelShuffle(2), 3, 3, 6) == (3, 6, 3)
    assert shape(nn.PixelShuffle(3), 3, 3, 4, 9) == (3, 9, 12, 1)


def test_pixel_shuffle_is_the_op():
    x = jnp.arange(32, dtype=jnp.float32).reshape(1, 2, 2, 8)
    np.testing.assert_array_equal(called(nn.PixelShuffle(2), x), ops.pixel_shuffle(x, 2))


def test_pixel_shuffle_bad_factor_and_channels_are_an_error():
    with pytest.raises(TypeError, match="`upscale_factor` to be an integer.*, got 2.0"):
        nn.PixelShuffle(2.0)
    with pytest.raises(ValueError, match="`upscale_factor` to be an integer of at least 1, got 0"):
        nn.PixelShuffle(0)
    text = r"channels that 2\*\*2 divides, got shape \(1, 2, 2, 6\)"
    with pytest.raises(ValueError, match=f"`PixelShuffle` expects `x` .*{text}"):
        called(nn.PixelShuffle(2), jnp.ones((1, 2, 2, 6), jnp.float32))
