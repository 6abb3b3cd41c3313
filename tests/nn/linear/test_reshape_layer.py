import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, nn

pytestmark = pytest.mark.any_precision


def reshaped(layer, x):
    return layer(x, Record(), Record())[0]


@pytest.mark.parametrize(
    ("dims", "shape"), [((2, 3), (3, 6)), ((2, 2), (3, 4, 1)), ((), (3,)), ((0, 2), (3, 0))]
)
def test_reshape_keeps_the_batch_and_the_order(dims, shape):
    x = jnp.arange(np.prod(shape), dtype=jnp.float32).reshape(shape)
    y = reshaped(nn.ReshapeLayer(dims), x)
    assert y.shape == (3, *dims)
    np.testing.assert_array_equal(y.ravel(), x.ravel())


def test_reshape_of_an_empty_batch_is_empty():
    assert reshaped(nn.ReshapeLayer((2, 3)), jnp.ones((0, 6), jnp.float32)).shape == (0, 2, 3)


@pytest.mark.parametrize("dims", [6, [2, 3], (2.0, 3), ("2",)])
def test_reshape_to_no_tuple_of_integers_is_an_error(dims):
    with pytest.raises(TypeError, match="`dims` to be a tuple of integers, got"):
        nn.ReshapeLayer(dims)


def test_reshape_of_another_size_is_an_error():
    with pytest.raises(ValueError, match=r"sizes of at least 0, got \(2, -1\)"):
        nn.ReshapeLayer((2, -1))
    layer = nn.ReshapeLayer((2, 3))
    text = r"`x` \(batch, \.\.\.\) with 6 elements for each member .* got {}"
    with pytest.raises(ValueError, match=text.format(r"shape \(6, 5\)")):
        reshaped(layer, jnp.ones((6, 5), jnp.float32))
    with pytest.raises(ValueError, match=text.format(r"shape \(\)")):
        reshaped(layer, jnp.ones((), jnp.float32))
    with pytest.raises(ValueError, match=text.format("str")):
        reshaped(layer, "x")
