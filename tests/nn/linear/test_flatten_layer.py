import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, nn

pytestmark = pytest.mark.any_precision


def flattened(layer, x):
    return layer(x, Record(), Record())[0]


@pytest.mark.parametrize(
    ("shape", "num_axes", "want"),
    [
        ((2, 3, 4), None, (2, 12)),
        ((5,), None, (5, 1)),
        ((0, 3, 4), None, (0, 12)),
        ((2, 3, 4, 5), 2, (2, 3, 20)),
        ((3, 4), 1, (3, 4)),
        ((3, 4), 2, (12,)),
        ((2, 0, 3), 2, (2, 0)),
    ],
)
def test_flatten_makes_the_last_axes_one(shape, num_axes, want):
    x = jnp.arange(np.prod(shape), dtype=jnp.float32).reshape(shape)
    y = flattened(nn.FlattenLayer(num_axes), x)
    assert y.shape == want
    np.testing.assert_array_equal(y.ravel(), x.ravel())


def test_flatten_of_an_image_transposed_has_the_order_of_lux():
    # x[w, h, c] of Lux, counted in its memory, and the same image here.
    count = np.arange(24, dtype=np.float32).reshape(2, 3, 4, order="F")
    image = jnp.asarray(count.transpose(1, 0, 2)[None])
    moved = jnp.transpose(image, (0, 3, 1, 2))
    np.testing.assert_array_equal(flattened(nn.FlattenLayer(), moved)[0], np.arange(24))
    assert (np.asarray(flattened(nn.FlattenLayer(), image)[0]) != np.arange(24)).any()


def test_flatten_keeps_any_dtype():
    assert flattened(nn.FlattenLayer(), jnp.ones((2, 3), jnp.int8)).dtype == jnp.int8


@pytest.mark.parametrize("num_axes", [0, -1, 1.5, "2"])
def test_flatten_of_no_axes_is_an_error(num_axes):
    error = ValueError if isinstance(num_axes, int) else TypeError
    with pytest.raises(error, match="`num_axes` to be an integer of at least 1, .* Leave it out"):
        nn.FlattenLayer(num_axes)


def test_flatten_of_too_few_axes_is_an_error():
    text = r"an array with at least {} axes, got {}"
    with pytest.raises(ValueError, match=text.format(3, r"shape \(3, 4\)")):
        flattened(nn.FlattenLayer(3), jnp.ones((3, 4), jnp.float32))
    with pytest.raises(ValueError, match=text.format(1, r"shape \(\)")):
        flattened(nn.FlattenLayer(), jnp.ones((), jnp.float32))
    with pytest.raises(ValueError, match=text.format(1, "str")):
        flattened(nn.FlattenLayer(), "x")
