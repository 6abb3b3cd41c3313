import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import initializers, ops
from sciml_lux.precision.internal import draw_dtype, rounded

HALVES = ["float16", "bfloat16"]
DRAWS = 100_000


@pytest.mark.parametrize(
    ("dtype", "wide"),
    [("float16", "float32"), ("bfloat16", "float32"), ("float32", "float32"), ("complex64",) * 2],
)
def test_half_precision_is_drawn_in_float32(dtype, wide):
    assert draw_dtype(jnp.dtype(dtype)) == wide


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("bound", [1.0, 0.3, 1 / 3, 2.0001, -0.3])
def test_rounding_stays_within_the_bounds(half, bound):
    near = jnp.asarray(np.float32(bound)) * jnp.asarray([1.0, 1.0 - 1e-6], jnp.float32)
    below = np.asarray(rounded(near, jnp.dtype(half), upper=bound), np.float64)
    above = np.asarray(rounded(near, jnp.dtype(half), lower=bound), np.float64)
    spacing = abs(bound) * float(jnp.finfo(half).eps)
    assert (below <= bound).all() and (below > bound - 2 * spacing).all()
    assert (above >= bound).all() and (above < bound + 2 * spacing).all()


# What each draws for `(key, shape, dtype)`, its mean, its standard deviation and its bounds.
SHAPE = (DRAWS // 250, 250)
INITIALISERS = {
    "normal": (initializers.normal(std=0.02), 0.0, 0.02, (-0.12, 0.12)),
    "truncated": (initializers.truncated_normal(std=0.02), 0.0, 0.02, (-0.12, 0.12)),
    "cut": (
        initializers.truncated_normal(lower=-0.3, upper=0.3),
        0.0,
        0.17262,
        (-0.3, 0.3),
    ),
    "uniform": (initializers.uniform(bound=1 / 3), 0.0, 1 / 3 / 3**0.5, (-1 / 3, 1 / 3)),
    "kaiming_uniform": (
        initializers.kaiming_uniform,
        0.0,
        (2 / 250) ** 0.5,
        (-((6 / 250) ** 0.5), (6 / 250) ** 0.5),
    ),
    "kaiming_normal": (initializers.kaiming_normal, 0.0, (2 / 250) ** 0.5, (-0.6, 0.6)),
    "glorot_uniform": (
        initializers.glorot_uniform,
        0.0,
        (2 / 650) ** 0.5,
        (-((6 / 650) ** 0.5), (6 / 650) ** 0.5),
    ),
    "glorot_normal": (initializers.glorot_normal, 0.0, (2 / 650) ** 0.5, (-0.4, 0.4)),
    "rrelu": (
        lambda key, shape, dtype: -ops.rrelu(-jnp.ones(shape, dtype), key=key),
        11 / 48,
        5 / 24 / 12**0.5,
        (1 / 8, 1 / 3),
    ),
}


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", INITIALISERS)
def test_draws_in_half_precision_have_their_moments_and_bounds(name, half):
    draw, mean, std, (low, high) = INITIALISERS[name]
    values = np.asarray(draw(jax.random.key(0), SHAPE, jnp.dtype(half)), np.float64)
    # Five standard errors, and the mean of what rounding leaves.
    assert abs(values.mean() - mean) < 5 * std / DRAWS**0.5
    assert abs(values.std() / std - 1) < 5 / (2 * DRAWS) ** 0.5
    assert low <= values.min() and values.max() <= high


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", INITIALISERS)
def test_draws_in_half_precision_are_those_of_float32_rounded(name, half):
    draw = INITIALISERS[name][0]
    narrow, wide = (draw(jax.random.key(1), (50, 40), jnp.dtype(d)) for d in (half, "float32"))
    assert narrow.dtype == half
    wide, eps = np.asarray(wide, np.float64), float(jnp.finfo(half).eps)
    np.testing.assert_allclose(np.asarray(narrow, np.float64), wide, rtol=eps, atol=1e-7)


def test_rand16_is_below_one():
    values = initializers.rand16(jax.random.key(0), (DRAWS,))
    assert values.min() >= 0 and values.max() < 1
    assert abs(np.asarray(values, np.float64).mean() - 0.5) < 5 / (12 * DRAWS) ** 0.5
    normal = np.asarray(initializers.randn16(jax.random.key(0), (DRAWS,)), np.float64)
    assert abs(normal.mean()) < 5 / DRAWS**0.5 and abs(normal.std() - 1) < 5 / (2 * DRAWS) ** 0.5
