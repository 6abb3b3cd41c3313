import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.conftest import needs_x64

NONE = lux.Record()


def test_periodic_embedding_moves_sines_then_cosines_to_the_end(dtype):
    layer = nn.PeriodicEmbedding((2, 1), (3.0, 1.0))
    a, b, c, d = x = np.asarray([1.1, 2.2, 3.3, 4.4], dtype)
    y, _ = layer(jnp.asarray(x), NONE, NONE)
    angles = 2 * np.pi * np.asarray([c / 3.0, b / 1.0])
    np.testing.assert_allclose(y, [a, d, *np.sin(angles), *np.cos(angles)], atol=2e-6)


@needs_x64
def test_periodic_embedding_of_boltz_documentation():
    y, _ = nn.PeriodicEmbedding((1,), (4.0,))(jnp.asarray([1.1, 2.2, 3.3]), NONE, NONE)
    want = [1.1, 3.3, np.sin(np.pi * 0.5 * 2.2), np.cos(np.pi * 0.5 * 2.2)]
    np.testing.assert_allclose(y, want, rtol=1e-15)


def test_periodic_embedding_has_the_periods_exactly(dtype):
    layer = nn.PeriodicEmbedding((0,), (0.75,))
    x = jnp.asarray([[0.1], [0.3]], dtype)
    x = x - x % 0.125  # What is left can be shifted by many periods without rounding.
    far = x + 0.75 * 1024
    np.testing.assert_array_equal(layer(x, NONE, NONE)[0], layer(far, NONE, NONE)[0])


def test_periodic_embedding_of_nothing_and_of_all():
    x = jnp.ones((3, 2), jnp.float32)
    np.testing.assert_array_equal(nn.PeriodicEmbedding((), ())(x, NONE, NONE)[0], x)
    assert nn.PeriodicEmbedding((0, 1), (1.0, 2.0))(x, NONE, NONE)[0].shape == (3, 4)
    assert nn.PeriodicEmbedding([1], [2.0]) == nn.PeriodicEmbedding((1,), (2.0,))


@pytest.mark.parametrize(
    ("indices", "periods", "error", "text"),
    [
        ((0, 1), (1.0,), ValueError, "a period for each index, got 2 indices and 1 periods"),
        ((0, 0), (1.0, 1.0), ValueError, r"`indices` to be different and at least 0, got \(0, 0\)"),
        ((-1,), (1.0,), ValueError, r"`indices` to be different and at least 0, got \(-1,\)"),
        ((0,), (0.0,), ValueError, r"`periods` to be positive, got \(0.0,\)"),
        ((0,), (float("inf"),), ValueError, r"`periods` to be positive, got \(inf,\)"),
        ((0.5,), (1.0,), TypeError, r"`indices` to be integers, got \(0.5,\)"),
    ],
)
def test_periodic_embedding_bad_arguments_are_errors(indices, periods, error, text):
    with pytest.raises(error, match=f"`PeriodicEmbedding` expects {text}"):
        nn.PeriodicEmbedding(indices, periods)


def test_periodic_embedding_of_too_few_inputs_or_integers_is_an_error():
    layer = nn.PeriodicEmbedding((2,), (1.0,))
    with pytest.raises(
        ValueError, match=r"last axis of `x` to be at least 3 .* got shape \(4, 2\)"
    ):
        layer(jnp.ones((4, 2), jnp.float32), NONE, NONE)
    with pytest.raises(TypeError, match="`x` to be real and floating, got int32. Convert"):
        layer(jnp.ones(3, jnp.int32), NONE, NONE)
