"""Data that are a function: traced once, so they must follow from the key or the step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import losses, training
from tests.conftest import needs_x32
from tests.training.models import line_data, tiny_state

MSE = losses.MSELoss()


def fit(data, dtype, **options):
    return training.fit(tiny_state(dtype), MSE, data, steps=1, progress=False, **options)


def test_sampled_function_that_does_not_use_its_key_is_an_error(dtype):
    rng = np.random.default_rng(0)
    text = (
        "what the function of `Sampled` returns must depend on the key, got a function `<lambda>` "
        "that does not use it: .* Draw with jax.random and the key in place of NumPy"
    )
    drawn = lambda key: (rng.normal(size=(2, 1)).astype(dtype), np.ones((2, 1), dtype))
    for function in (drawn, lambda key: line_data(dtype)):
        with pytest.raises(ValueError, match=text):
            training.Sampled(function, 0)


def test_key_may_be_used_in_a_branch_or_for_one_array(dtype):
    def points(key):
        draw = lambda key: jax.random.normal(key, (2, 1), dtype)
        return jax.lax.cond(True, draw, lambda _: ones, key), ones

    ones = jnp.ones((2, 1), dtype)
    assert len(fit(training.Sampled(points, jax.random.key(3, impl="rbg")), dtype).losses) == 1


def test_function_of_the_step_may_ignore_it_and_must_then_repeat(dtype):
    rng, data = np.random.default_rng(0), line_data(dtype)
    assert len(fit(lambda step: data, dtype).losses) == 1
    buffer = np.zeros((2, 1), dtype)

    def filled(step):
        buffer[:] = rng.normal(size=(2, 1))
        return buffer, buffer

    for function in (filled, lambda step: (rng.normal(size=(2, 1)).astype(dtype),) * 2):
        with pytest.raises(
            ValueError, match=r"`data`\(step\) must depend on the step alone.* Draw"
        ):
            fit(function, dtype)


def test_function_that_cannot_be_hashed_is_an_error(dtype):
    class Unhashable:
        __hash__ = None

        def __call__(self, given):
            return line_data(dtype)

    with pytest.raises(TypeError, match="the function of `Sampled`, a Unhashable, must be hashab"):
        training.Sampled(Unhashable(), 0)
    with pytest.raises(TypeError, match="`data`, a Unhashable, must be hashable"):
        fit(Unhashable(), dtype)


@needs_x32
def test_float64_of_a_function_and_of_validation_is_refused_by_name():
    wide, data, dtype = np.ones((2, 1)), line_data(jnp.float32), jnp.float32
    with pytest.raises(TypeError, match=r"`data`\(step\)\[0\], a NumPy array, is float64"):
        fit(lambda step: (wide, wide), dtype)
    with pytest.raises(TypeError, match=r"`validation`\(step\)\[1\], a NumPy array, is float64"):
        fit(data, dtype, validation=lambda step: (data[0][:2], wide))
    with pytest.raises(
        TypeError, match=r"function of `Sampled` returns\[0\], a NumPy array, is fl"
    ):
        fit(training.Sampled(lambda key: (wide, wide), 0), dtype)
    with pytest.raises(TypeError, match=r"`validation`\[0\], a NumPy array, is float64"):
        fit(data, dtype, validation=(wide, wide))
