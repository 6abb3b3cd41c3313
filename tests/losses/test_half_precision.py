"""Losses whose terms overflow half precision where their mean does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import losses

pytestmark = pytest.mark.any_precision
HALVES = ["float16", "bfloat16"]

# A loss, y_pred and y of one term among 99 where it is 0, the term, and its derivative by y_pred.
LARGE = {
    "mse": (losses.MSELoss(), 300.0, 0.0, 90000.0, 600.0),
    "huber": (losses.HuberLoss(delta=1000.0), 600.0, 0.0, 180000.0, 600.0),
    "huber, straight": (losses.HuberLoss(delta=500.0), 700.0, 0.0, 225000.0, 500.0),
    "mae": (losses.MAELoss(), 60000.0, -60000.0, 120000.0, 1.0),
    "hinge": (losses.HingeLoss(), 60000.0, -2.0, 120001.0, 2.0),
    "squared hinge": (losses.SquaredHingeLoss(), 299.0, -1.0, 90000.0, 600.0),
    "siamese": (losses.SiameseContrastiveLoss(), 300.0, 0.0, 90000.0, 600.0),
}


def case(name, half):
    loss, y_pred, y, term, slope = LARGE[name]
    # Where the others cost nothing.
    rest = {"hinge": (2.0, 1.0), "squared hinge": (2.0, 1.0)}.get(name, (0.0, 0.0))
    arrays = [np.full(100, value) for value in rest]
    arrays[0][7], arrays[1][7] = y_pred, y
    return loss, *(jnp.asarray(array, half) for array in arrays), term, slope


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", LARGE)
def test_mean_that_fits_is_right_where_a_term_does_not_fit(name, half):
    loss, y_pred, y, term, slope = case(name, half)
    value, gradient = jax.jit(jax.value_and_grad(loss))(y_pred, y)
    tolerance = 2 * float(jnp.finfo(half).eps)
    assert value.dtype == gradient.dtype == half
    np.testing.assert_allclose(float(value), term / 100, rtol=tolerance)
    np.testing.assert_allclose(float(gradient[7]), slope / 100, rtol=tolerance)
    assert jnp.isfinite(gradient).all()


def test_msle_of_a_ratio_that_overflows():
    y_pred, y = jnp.asarray([2000.0, 1.0], jnp.float16), jnp.asarray([0.0, 1.0], jnp.float16)
    epsilon = float(jnp.finfo(jnp.float16).eps)
    want = np.log((2000 + epsilon) / epsilon) ** 2 / 2
    value, gradient = jax.value_and_grad(losses.MSLELoss())(y_pred, y)
    np.testing.assert_allclose(float(value), want, rtol=1e-3)
    np.testing.assert_allclose(float(gradient[0]), np.log(2000 / epsilon) / 2000, rtol=2e-3)


def test_poisson_terms_that_cancel():
    y_pred, y = (jnp.full(2, value, jnp.float16) for value in (20000.0, 2020.0))
    np.testing.assert_allclose(
        float(losses.PoissonLoss()(y_pred, y)), 20000 - 2020 * np.log(20000), rtol=1e-3
    )


@pytest.mark.parametrize("half", HALVES)
def test_losses_without_aggregation_come_back_to_half_precision(half):
    found = losses.MSELoss(agg=None)(jnp.asarray([3.0], half), jnp.asarray([1.0], half))
    assert found.dtype == half and found.tolist() == [4.0]


@pytest.mark.parametrize("half", HALVES)
def test_epsilon_is_that_of_the_data(half):
    zero = jnp.zeros(1, half)
    eps = float(jnp.finfo(half).eps)
    found = float(losses.BinaryCrossEntropyLoss()(zero, 1.0))
    np.testing.assert_allclose(found, -np.log(eps), rtol=eps)
    np.testing.assert_allclose(float(losses.PoissonLoss()(zero, zero + 1)), -np.log(eps), rtol=eps)
