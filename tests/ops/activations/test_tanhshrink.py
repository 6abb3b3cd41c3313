"""x - tanh(x), whose digits a difference loses near 0, against mpmath."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import X64

mp = mpmath.mp.clone()
mp.dps = 60
DTYPES = ["float16", "bfloat16", "float32"] + ["float64"] * X64


def exact(v, order):
    v = mp.mpf(float(v))
    t, s = mp.tanh(v), mp.sech(v) ** 2
    return (v - t, t**2, 2 * t * s, 2 * s * (s - 2 * t**2))[order]


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanhshrink_has_its_digits(dtype):
    # In float16 what is left of smaller ones is not a normal number.
    sizes = np.append(np.geomspace(0.1 if dtype == "float16" else 1e-6, 10, 60), [1.999, 2.0])
    x = jnp.asarray(np.append(sizes, -sizes), dtype)
    want = [exact(v, 0) for v in np.asarray(x, np.float64)]
    eps = float(jnp.finfo(dtype).eps)
    found = np.asarray(ops.tanhshrink(x), np.float64)
    assert max(abs(f - w) / abs(w) for f, w in zip(found, want, strict=True)) < 3 * eps
    if dtype == "float32":
        small = jnp.asarray([1e-3], dtype)
        assert abs(float((small - jnp.tanh(small))[0]) / exact(small[0], 0) - 1) > 0.1


@pytest.mark.parametrize("order", [1, 2, 3])
def test_tanhshrink_has_the_digits_of_its_derivatives_near_zero(order):
    derivative = ops.tanhshrink
    for _ in range(order):
        derivative = jax.grad(derivative)
    x = jnp.asarray([1e-6, 1e-3, 0.1, 0.5, -1e-3], jnp.float32)
    want = [float(exact(v, order)) for v in np.asarray(x, np.float64)]
    np.testing.assert_allclose(jax.jit(jax.vmap(derivative))(x), want, rtol=2e-6)


def test_tanhshrink_at_its_limits():
    x = jnp.asarray([0.0, -0.0, jnp.inf, -jnp.inf, 3e38], jnp.float32)
    np.testing.assert_array_equal(ops.tanhshrink(x), x)
    np.testing.assert_array_equal(jax.vmap(jax.grad(ops.tanhshrink))(x), [0, 0, 1, 1, 1])
    assert jnp.isnan(ops.tanhshrink(jnp.asarray(jnp.nan, jnp.float32)))
    z = jnp.asarray(0.3 + 0.4j, jnp.complex64)
    np.testing.assert_allclose(ops.tanhshrink(z), z - jnp.tanh(z), rtol=1e-5)
