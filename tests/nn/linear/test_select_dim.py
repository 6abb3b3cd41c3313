import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, nn

pytestmark = pytest.mark.any_precision
X = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def selected(layer, x=X):
    return layer(jnp.asarray(x), Record(), Record())[0]


@pytest.mark.parametrize(
    ("axis", "index", "want"),
    [
        (1, 0, X[:, 0]),
        (-1, -1, X[..., -1]),
        (0, 1, X[1]),
        (2, range(1, 3), X[..., 1:3]),
        (2, range(3, -1, -2), X[..., 3::-2]),
        (1, range(2, 2), X[:, 2:2]),
        (-2, (2, 0, -1), X[:, [2, 0, -1]]),
        (1, np.int64(2), X[:, 2]),
    ],
)
def test_selection_is_that_of_numpy(axis, index, want):
    np.testing.assert_array_equal(selected(nn.SelectDim(axis, index)), want)


def test_selection_keeps_any_dtype():
    assert selected(nn.SelectDim(0, 0), np.ones((2, 3), np.int8)).dtype == jnp.int8
    assert selected(nn.SelectDim(0, (0,)), np.ones((2, 3), np.bool_)).dtype == jnp.bool_


@pytest.mark.parametrize("axis", [3, -4])
def test_selection_from_an_axis_that_is_not_there_is_an_error(axis):
    with pytest.raises(ValueError, match=rf"an array with an axis {axis} \(`axis`\), got shape \("):
        selected(nn.SelectDim(axis, 0))
    with pytest.raises(ValueError, match="an array with an axis 0 .* got str"):
        nn.SelectDim(0, 0)("x", Record(), Record())


@pytest.mark.parametrize("index", [3, -4, range(2, 5), (0, 3)])
def test_selection_outside_the_axis_is_an_error(index):
    with pytest.raises(
        ValueError, match=r"axis 1 of `x` to have the index .* got shape \(2, 3, 4\)"
    ):
        selected(nn.SelectDim(1, index))


@pytest.mark.parametrize(("axis", "index"), [(1.0, 0), (0, "1"), (0, (0, 1.5)), (0, slice(2))])
def test_selection_by_something_else_is_an_error(axis, index):
    with pytest.raises(TypeError, match="an integer, a range or a tuple of integers, got"):
        nn.SelectDim(axis, index)
