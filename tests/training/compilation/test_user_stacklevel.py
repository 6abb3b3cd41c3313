"""Warnings name the line of the user's that they are about, not one inside the library."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, precision, training
from tests.conftest import needs_x64

MODEL = nn.Scale(1, use_bias=False)
ONES = jnp.ones((2, 1), jnp.float32)


def state(dtype=jnp.float32, optimizer=None):
    trees = lux.setup(jax.random.key(0), MODEL, dtype=dtype)
    return training.TrainState(MODEL, *trees, optimizer or optax.sgd(0.1))


def half_precision():
    state(jnp.float16, optax.adam(1e-3))


def infinite_validation():
    data, held_out = (ONES, ONES), (ONES, ONES * jnp.inf)
    training.fit(state(), losses.MSELoss(), data, steps=1, validation=held_out, validation_every=1)


def float64_data():
    data = np.ones((2, 1)), np.ones((2, 1))
    training.fit(state(), losses.MSELoss(), data, steps=1)


@pytest.mark.parametrize(
    ("act", "category"),
    [
        (half_precision, training.OptimizerPrecisionWarning),
        (infinite_validation, training.NonFiniteWarning),
        pytest.param(float64_data, precision.EltypeMismatchWarning, marks=needs_x64),
    ],
)
def test_warning_names_a_line_of_the_user(act, category):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    found = [warning for warning in caught if warning.category is category]
    assert [warning.filename for warning in found] == [__file__]
