import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64
from tests.references import load

pytestmark = pytest.mark.any_precision


@needs_x64
def test_pixel_shuffle_equals_torch():
    torch = load("resizing/pixel-shuffle")
    np.testing.assert_array_equal(ops.pixel_shuffle(jnp.asarray(torch["x"]), 2), torch["y"])


def nnlib(x, factor):
    """NNlib's documented reshape and permutation, column-major, features first, batch last."""
    axes = x.ndim - 2
    *spatial, channels, batch = x.shape
    fewer = channels // factor**axes
    x = x.reshape(*spatial, *(factor,) * axes, fewer, batch, order="F")
    order = [k for axis in range(axes) for k in (axes + axis, axis)]
    x = x.transpose(*order, 2 * axes, 2 * axes + 1)
    return x.reshape(*(factor * size for size in spatial), fewer, batch, order="F")


@pytest.mark.parametrize(("shape", "factor"), [((2, 3, 12), 2), ((2, 3, 2, 18), 3)])
def test_pixel_shuffle_has_the_order_of_nnlib(shape, factor):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    # Theirs is (width, height, channels, batch): the reverse of (batch, channels, height, width).
    theirs = nnlib(np.moveaxis(x, -1, 1).transpose(), factor)
    want = np.moveaxis(theirs.transpose(), 1, -1)
    np.testing.assert_array_equal(ops.pixel_shuffle(jnp.asarray(x), factor), want)


def test_pixel_shuffle_takes_any_number_of_spatial_axes():
    x = jnp.arange(2 * 2 * 16, dtype=jnp.int32).reshape(1, 2, 2, 1, 16)
    y = ops.pixel_shuffle(x, 2)
    assert y.shape == (1, 4, 4, 2, 2) and y.dtype == jnp.int32
    # x[0, p, q, s, ((c 2 + i) 2 + j) 2 + k] goes to y[0, 2p + i, 2q + j, 2s + k, c].
    assert y[0, 3, 0, 1, 1] == x[0, 1, 0, 0, ((1 * 2 + 1) * 2 + 0) * 2 + 1]


def test_pixel_shuffle_by_one_changes_nothing():
    x = jnp.ones((2, 3, 3, 5), jnp.float32)
    np.testing.assert_array_equal(ops.pixel_shuffle(x, 1), x)


def test_pixel_shuffle_of_an_empty_batch_is_empty():
    assert ops.pixel_shuffle(jnp.ones((0, 2, 3, 4), jnp.float32), 2).shape == (0, 4, 6, 1)


@pytest.mark.parametrize(
    ("shape", "factor"), [((2, 2, 2, 6), 2), ((2, 4), 2), ((), 2), ((2, 2, 2, 4), 0)]
)
def test_pixel_shuffle_of_another_shape_is_an_error(shape, factor):
    with pytest.raises(ValueError, match=r"`pixel_shuffle` expects .* divides, and `factor` of at"):
        ops.pixel_shuffle(jnp.ones(shape, jnp.float32), factor)
