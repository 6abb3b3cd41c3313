import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn, ops
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def band_limited(*points):
    """A function with frequencies up to 1 along each axis, on a grid of [0, 2π)."""
    axes = np.meshgrid(*(2 * np.pi * np.arange(n) / n for n in points), indexing="ij")
    u = 0.3 + sum(np.sin(a + i) for i, a in enumerate(axes))
    return jnp.asarray(np.stack([u, np.cos(axes[0]) * np.sin(axes[-1] + 1)], axis=-1))


CASES = [
    pytest.param((3,), (6,), (15,), id="1d"),
    pytest.param((2, 3), (5, 6), (10, 18), id="2d"),
    pytest.param((2, 2, 2), (4, 4, 5), (8, 12, 10), id="3d"),
]


@needs_x64
@pytest.mark.parametrize(("modes", "coarse", "fine"), CASES)
def test_the_same_function_on_a_finer_grid_has_the_same_values(modes, coarse, fine):
    layer = nn.SpectralConv(2, 3, modes)
    ps, st = made(layer, jnp.float64)
    y, _ = jax.jit(layer)(band_limited(*coarse), ps, st)
    finer, _ = jax.jit(layer)(band_limited(*fine), ps, st)
    shared = [math.gcd(c, f) for c, f in zip(coarse, fine, strict=True)]
    every = lambda points: tuple(
        slice(None, None, n // g) for n, g in zip(points, shared, strict=True)
    )
    assert jnp.abs(y).max() > 0.1
    np.testing.assert_allclose(finer[every(fine)], y[every(coarse)], atol=1e-14)


@needs_x64
@pytest.mark.parametrize(("modes", "points", "_"), CASES)
def test_layer_commutes_with_translations(modes, points, _):
    layer = nn.SpectralConv(2, 3, modes)
    ps, st = made(layer, jnp.float64)
    x = jax.random.normal(jax.random.key(1), (*points, 2), jnp.float64)
    roll = lambda a: jnp.roll(a, range(1, len(points) + 1), range(len(points)))
    np.testing.assert_allclose(layer(roll(x), ps, st)[0], roll(layer(x, ps, st)[0]), atol=1e-14)


@any_precision
def test_layer_is_the_spectral_convolution_of_its_weight():
    layer = nn.SpectralConv(2, 3, (2, 3))
    ps, st = made(layer)
    x = jax.random.normal(jax.random.key(1), (4, 6, 6, 2), jnp.float32)
    assert ps.weight.shape == (2, 3, 2, 4, 3)
    np.testing.assert_array_equal(layer(x, ps, st)[0], ops.spectral_convolution(x, ps.weight))
    np.testing.assert_allclose(layer(x[1], ps, st)[0], layer(x, ps, st)[0][1], atol=1e-6)


@any_precision
def test_parameters_are_real_and_so_are_their_gradients():
    layer = nn.SpectralConv(2, 3, (2,))
    ps, st = made(layer)
    x = jax.random.normal(jax.random.key(1), (6, 2), jnp.float32)
    grads = jax.jit(jax.grad(lambda ps: jnp.sum(layer(x, ps, st)[0] ** 2)))(ps)
    assert ps.weight.dtype == grads.weight.dtype == jnp.float32
    # A constant mode has no phase.
    np.testing.assert_allclose(grads.weight[1, ..., 0], 0, atol=1e-6)
    assert jnp.abs(grads.weight[0]).min() > 0


def test_weight_starts_uniform_over_the_channels_or_as_told():
    weight = made(nn.SpectralConv(4, 5, (50,)))[0].weight
    assert weight.min() >= 0 and 0.98 / 20 < weight.max() <= 1 / 20
    layer = nn.SpectralConv(2, 3, 2, init_weight=initializers.ones)
    assert layer.modes == (2,) and (made(layer)[0].weight == 1).all()
    assert nn.SpectralConv(2, 3, [2, 2]) == nn.SpectralConv(2, 3, (2, 2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("layer", [nn.SpectralConv(2, 3, 2), nn.FNOBlock(2, 3, 2)])
def test_halves_are_a_type_error(layer, dtype):
    with pytest.raises(TypeError, match=f"expects float32 or float64, got {dtype}, .* no FFT"):
        layer(jnp.ones((6, 2), dtype), *made(layer, dtype))


@pytest.mark.parametrize("layer", [nn.SpectralConv(2, 3, (4, 2)), nn.FNOBlock(2, 3, (4, 2))])
def test_shapes_and_modes_that_do_not_fit_are_errors(layer):
    text = r"` expects `x` \(\.\.\., \*spatial, 2\) with 2 spatial axes for `modes` \(4, 2\), got"
    for shape in ((8, 2), (8, 8, 3)):
        with pytest.raises(ValueError, match=text):
            layer(jnp.ones(shape, jnp.float32), *made(layer))
    with pytest.raises(ValueError, match=r"at least \(8, 2\) points .* got \(7, 8\)") as caught:
        layer(jnp.ones((7, 8, 2), jnp.float32), *made(layer))
    assert "while calling `SpectralConv`" in str(caught.value.__notes__)


@pytest.mark.parametrize("kind", [nn.SpectralConv, nn.FNOBlock])
def test_bad_arguments_are_errors(kind):
    with pytest.raises(
        ValueError, match=f"`{kind.__name__}` expects `modes` to be sizes of at least 1, got"
    ):
        kind(2, 3, (2, 0))
    with pytest.raises(ValueError, match="`modes` to be at least one size, got"):
        kind(2, 3, ())
    with pytest.raises(TypeError, match="`modes` to be an integer.*, got 'all'"):
        kind(2, 3, "all")


@any_precision
def test_block_is_the_activation_of_the_global_and_the_local_map(dtype):
    block = nn.FNOBlock(2, 3, 2, nn.tanh)
    ps, st = made(block, dtype)
    x = jax.random.normal(jax.random.key(1), (4, 6, 2), dtype)
    spectral = ops.spectral_convolution(x, ps.spectral.weight)
    pointwise, _ = nn.Dense(2, 3)(x, ps.pointwise, st.pointwise)
    np.testing.assert_allclose(block(x, ps, st)[0], np.tanh(spectral + pointwise), rtol=1e-5)
    assert nn.FNOBlock(2, 3, 2).activation is nn.gelu


@needs_x64
def test_block_learns_a_derivative_exactly():
    # d/dx is the multiplication of mode k by ik, so one block without activation can be it.
    block = nn.FNOBlock(1, 1, 4, nn.identity)
    ps, st = made(block, jnp.float64)
    weight = jnp.stack([jnp.zeros(4), jnp.arange(4, dtype=jnp.float64)]).reshape(2, 1, 1, 4)
    zeros = jax.tree.map(jnp.zeros_like, ps.pointwise)
    t = 2 * np.pi * np.arange(9) / 9
    u = np.sin(3 * t) + np.cos(t) + 2
    y, _ = block(
        jnp.asarray(u)[:, None], lux.Record(spectral=lux.Record(weight=weight), pointwise=zeros), st
    )
    np.testing.assert_allclose(y[:, 0], 3 * np.cos(3 * t) - np.sin(t), atol=1e-14)
