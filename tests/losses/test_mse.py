import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn
from tests.conftest import needs_x64

Y_PRED = np.asarray([[1.0, 2.0], [3.0, 5.0]], np.float32)
Y = np.asarray([[1.0, 1.0], [1.0, 1.0]], np.float32)


def test_mse_is_the_mean_of_squares():
    assert losses.MSELoss()(Y_PRED, Y) == (0 + 1 + 4 + 16) / 4


def test_mse_aggregates_as_told():
    assert losses.MSELoss(agg=losses.total)(Y_PRED, Y) == 21
    np.testing.assert_array_equal(losses.MSELoss(agg=None)(Y_PRED, Y), [[0, 1], [4, 16]])
    assert losses.MSELoss(agg=jnp.max)(Y_PRED, Y) == 16


def test_mse_of_a_model_returns_loss_states_and_stats():
    model = nn.Dense(2, 2)
    ps, st = lux.setup(jax.random.key(0), model)
    loss, new, stats = losses.MSELoss()(model, ps, st, (Y_PRED, Y))
    assert loss == losses.MSELoss()(model(Y_PRED, ps, st)[0], Y)
    assert new is not None and len(stats) == 0


def test_mse_of_complex_numbers_is_real():
    y = jnp.asarray([1.0 + 2.0j], jnp.complex64)
    loss = losses.MSELoss()(y, jnp.zeros_like(y))
    assert loss == 5 and loss.dtype == jnp.float32


@needs_x64
def test_mse_of_mixed_dtypes_is_as_wide_as_the_wider():
    loss = losses.MSELoss()(jnp.asarray([0.1]), jnp.asarray([0.1], jnp.float32))
    assert loss.dtype == jnp.float64 and 0 < loss < 1e-15


def test_mse_does_not_broadcast():
    text = r"`MSELoss` expects `y_pred` and `y` of one shape, got float32\[3,1\] and float32\[3\]"
    with pytest.raises(ValueError, match=text):
        losses.MSELoss()(jnp.ones((3, 1), jnp.float32), jnp.ones(3, jnp.float32))


def test_loss_of_three_arguments_is_an_error():
    with pytest.raises(TypeError, match=r"loss\(y_pred, y\) or loss\(model, ps, st, .*got 3"):
        losses.MSELoss()(1, 2, 3)


def test_loss_without_elementwise_is_an_error():
    class Empty(losses.LossFunction):
        pass

    with pytest.raises(TypeError, match="`Empty` defines no `elementwise"):
        Empty()(Y, Y)


@pytest.mark.parametrize(
    ("data", "got"),
    [
        ((1, 2, 3, 4), "tuple of 4"),
        ([1] * 4, "list of 4.*as training.Stream"),
        (None, "NoneType"),
        (np.zeros(()), r"ndarray\. A third"),
    ],
)
def test_loss_of_data_that_is_no_pair_is_an_error(data, got):
    with pytest.raises(TypeError, match=rf"`data` to be the pair \(x, y\), got {got}"):
        losses.MSELoss()(nn.NoOpLayer(), lux.Record(), lux.Record(), data)


def test_loss_of_a_list_is_an_error():
    with pytest.raises(
        TypeError, match="`y_pred` to be a floating or complex array, got list. Conv"
    ):
        losses.MSELoss()([1.0], [2.0])
