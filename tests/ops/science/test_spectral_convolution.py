import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision


def explicit(x, weight):
    """The sum over modes of the docstring, without an FFT; x is (*spatial, in_dims)."""
    points, kept = x.shape[:-1], weight.shape[3:]
    matrices = weight[0] + 1j * weight[1]
    axes = [(*range(k // 2), *range(-(k // 2), 0)) for k in kept[:-1]] + [range(kept[-1])]
    places = np.stack(np.meshgrid(*map(np.arange, points), indexing="ij"), axis=-1)
    y = np.zeros((*points, weight.shape[1]))
    for index in itertools.product(*map(range, kept)):
        k = np.asarray([axis[i] for axis, i in zip(axes, index, strict=True)])
        wave = np.exp(2j * np.pi * (places / np.asarray(points)) @ k)
        mode = np.tensordot(np.conj(wave), x, x.ndim - 1)
        count = 1 if k[-1] == 0 or 2 * k[-1] == points[-1] else 2
        term = wave[..., None] * (matrices[(..., *index)] @ mode)
        y += count * term.real / np.prod(points)
    return y


def operands(points, kept, in_dims=2, out_dims=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(*points, in_dims)), rng.normal(size=(2, out_dims, in_dims, *kept))


@needs_x64
@pytest.mark.parametrize(
    ("points", "kept"),
    [
        ((8,), (3,)),
        ((7,), (4,)),
        ((8,), (5,)),  # Up to the highest frequency of an even number of points.
        ((1,), (1,)),
        ((6, 5), (4, 2)),
        ((5, 6), (4, 4)),
        ((4, 4), (4, 3)),
        ((4, 5, 6), (2, 4, 3)),
    ],
)
def test_result_is_the_sum_over_modes(points, kept):
    x, weight = operands(points, kept)
    y = jax.jit(ops.spectral_convolution)(jnp.asarray(x), jnp.asarray(weight))
    np.testing.assert_allclose(y, explicit(x, weight), rtol=1e-13, atol=1e-13)


@needs_x64
def test_negative_frequencies_have_weights_of_their_own():
    p, q = np.meshgrid(np.arange(6), np.arange(8), indexing="ij")
    up, down = (np.cos(2 * np.pi * (k * p / 6 + q / 8))[..., None] for k in (1, -1))
    weight = np.zeros((2, 1, 1, 4, 2))
    weight[0, 0, 0, 1, 1], weight[0, 0, 0, 3, 1] = 2.0, 5.0  # Frequencies (1, 1) and (-1, 1).
    y = ops.spectral_convolution(jnp.asarray(up + down), jnp.asarray(weight))
    np.testing.assert_allclose(y, 2 * up + 5 * down, atol=1e-14)


@needs_x64
def test_imaginary_weights_shift_the_phase():
    t = 2 * np.pi * np.arange(8) / 8
    weight = np.zeros((2, 1, 1, 3))
    weight[1, 0, 0, 2] = 1.0  # Times i: a quarter of a wave ahead.
    y = ops.spectral_convolution(jnp.asarray(np.cos(2 * t)[:, None]), jnp.asarray(weight))
    np.testing.assert_allclose(y[:, 0], -np.sin(2 * t), atol=1e-14)


@any_precision
def test_leading_axes_are_members_of_a_batch(dtype):
    x, weight = (jnp.asarray(a, dtype) for a in operands((2, 3, 8), (3,)))
    y = ops.spectral_convolution(x, weight)
    one = ops.spectral_convolution(x[1, 2], weight)
    np.testing.assert_allclose(y[1, 2], one, atol=16 * jnp.finfo(dtype).eps)


@needs_x64
def test_result_is_as_wide_as_the_wider():
    x, weight = operands((8,), (3,))
    y = ops.spectral_convolution(jnp.asarray(x, jnp.float32), jnp.asarray(weight))
    assert y.dtype == jnp.float64
    np.testing.assert_allclose(y, explicit(x.astype(np.float32), weight), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_an_error_that_says_why(dtype):
    x, weight = (jnp.asarray(a, dtype) for a in operands((8,), (3,)))
    text = f"`spectral_convolution` expects float32 or float64, got {dtype}, .* no FFT. Convert"
    with pytest.raises(TypeError, match=text):
        ops.spectral_convolution(x, weight)


@pytest.mark.parametrize(
    ("points", "kept", "needed"),
    [((5,), (4,), r"\(6,\)"), ((3, 8), (4, 2), r"\(4, 2\)"), ((0,), (1,), r"\(1,\)")],
)
def test_more_modes_than_points_is_an_error(points, kept, needed):
    x, weight = (jnp.asarray(a, jnp.float32) for a in operands(points, kept))
    with pytest.raises(ValueError, match=rf"at least {needed} points along .* got .* Use fewer"):
        ops.spectral_convolution(x, weight)


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        ((8, 2), (1, 3, 2, 3)),
        ((8, 2), (2, 3, 4, 3)),
        ((8, 2), (2, 3, 2)),
        ((2,), (2, 3, 2, 3)),
        ((8, 8, 2), (2, 3, 2, 3, 3)),
    ],
)
def test_shapes_that_do_not_fit_are_an_error(x, weight):
    text = (
        r"`weight` \(2, out_dims, in_dims, \*kept\), .* and `x` \(\.\.\., \*spatial, in_dims\), got"
    )
    with pytest.raises(ValueError, match=text):
        ops.spectral_convolution(jnp.ones(x, jnp.float32), jnp.ones(weight, jnp.float32))
