import math

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64

mp = mpmath.mp.clone()
mp.dps = 60
LARGE = (1e3 + 0.3, -12345.678, 1e9 + 0.7, 3.3e15)


def naive(x, period):
    return jnp.sin(2 * math.pi * x / period), jnp.cos(2 * math.pi * x / period)


def reference(x, period):
    angle = 2 * mp.pi * mp.mpf(x) / mp.mpf(period)
    return float(mp.sin(angle)), float(mp.cos(angle))


@needs_x64
@pytest.mark.parametrize("period", [0.7, 3.0, 1e4])
def test_sin_cos_of_many_periods_has_all_digits(period):
    x = jnp.asarray(LARGE)[:, None]
    sine, cosine = ops.periodic_sin_cos(x, jnp.asarray([period]))
    want = np.asarray([reference(x, period) for x in LARGE])
    np.testing.assert_allclose(sine[:, 0], want[:, 0], atol=1e-15)
    np.testing.assert_allclose(cosine[:, 0], want[:, 1], atol=1e-15)


@needs_x64
def test_without_reduction_the_digits_are_lost():
    sine, _ = naive(jnp.asarray(LARGE), 0.7)
    assert np.abs(np.asarray(sine) - [reference(x, 0.7)[0] for x in LARGE]).max() > 1e-8


def test_whole_periods_are_exact(dtype):
    periods = jnp.asarray([0.5, 3.0], dtype)
    x = jnp.asarray([[-4096.0, 3.0 * 1024], [0.0, -0.0]], dtype)
    sine, cosine = ops.periodic_sin_cos(x, periods)
    np.testing.assert_array_equal(sine, np.zeros((2, 2)))
    np.testing.assert_array_equal(cosine, np.ones((2, 2)))


@needs_x64
@pytest.mark.parametrize("order", [1, 2, 3])
def test_derivatives_of_any_order_are_those_of_the_formula(order):
    def ours(x, period):
        return ops.periodic_sin_cos(x[None], period[None])[0][0]

    def plain(x, period):
        return naive(x, period)[0]

    point = jnp.asarray(7.3), jnp.asarray(1.9)
    for argument in (0, 1):
        left, right = ours, plain
        for i in range(order):
            nest = jax.grad if i % 2 == 0 else jax.jacfwd
            left, right = nest(left, argument), nest(right, argument)
        both = jax.jit(lambda *point, left=left, right=right: (left(*point), right(*point)))
        np.testing.assert_allclose(*both(*point), rtol=1e-11)


@pytest.mark.parametrize(("x", "periods"), [((), (1,)), ((3, 2), (3,)), ((2,), (1, 2))])
def test_shapes_that_do_not_fit_are_an_error(x, periods):
    text = r"`periodic_sin_cos` expects `x` \(\.\.\., dims\) and `periods` \(dims,\), got"
    with pytest.raises(ValueError, match=text):
        ops.periodic_sin_cos(jnp.ones(x, jnp.float32), jnp.ones(periods, jnp.float32))
