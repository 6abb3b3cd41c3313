import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import chebyshev, legendre

from sciml_lux import ops
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision

POINTS = np.linspace(-2.5, 2.5, 11)


@needs_x64
@pytest.mark.parametrize(
    ("basis", "reference"),
    [
        (ops.chebyshev_basis, lambda x: chebyshev.chebvander(x, 5)),
        (ops.legendre_basis, lambda x: legendre.legvander(x, 5)),
        (ops.polynomial_basis, lambda x: np.vander(x, 6, increasing=True)),
        (ops.sine_basis, lambda x: np.sin(np.outer(x, np.arange(1, 7)))),
        (ops.cosine_basis, lambda x: np.cos(np.outer(x, np.arange(1, 7)))),
    ],
)
def test_basis_equals_numpy_beyond_one_too(basis, reference):
    np.testing.assert_allclose(basis(jnp.asarray(POINTS), 6), reference(POINTS), rtol=1e-13)


@any_precision
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_fourier_basis_has_half_sines_at_odd_and_cosines_at_even_places(n, dtype):
    x = 0.7
    want = [math.sin(0.5 * x), math.cos(x), math.sin(1.5 * x), math.cos(2 * x)][:n]
    y = ops.fourier_basis(jnp.asarray(x, dtype), n)
    np.testing.assert_allclose(y, want, rtol=4 * jnp.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("basis", "first"),
    [(ops.chebyshev_basis, 1.0), (ops.legendre_basis, 1.0), (ops.polynomial_basis, 1.0)],
)
def test_polynomial_bases_start_with_the_constant(basis, first, dtype):
    x = jnp.full((2, 3), 0.5, dtype)
    assert basis(x, 1).shape == (2, 3, 1)
    np.testing.assert_array_equal(basis(x, 2)[0, 0], [first, 0.5])


@needs_x64
def test_chebyshev_basis_has_the_derivatives_of_a_polynomial_at_the_ends():
    degrees = np.arange(6.0)
    first = jax.jacfwd(functools.partial(ops.chebyshev_basis, n=6))
    second = jax.jacrev(first)
    np.testing.assert_allclose(first(jnp.asarray(1.0)), degrees**2, rtol=1e-14)
    np.testing.assert_allclose(
        second(jnp.asarray(1.0)), degrees**2 * (degrees**2 - 1) / 3, rtol=1e-14
    )
    signs = (-1.0) ** (degrees + 1)
    np.testing.assert_allclose(first(jnp.asarray(-1.0)), signs * degrees**2, rtol=1e-14)


@needs_x64
def test_legendre_basis_satisfies_its_differential_equation():
    x, n = jnp.asarray(0.3), jnp.arange(6, dtype=jnp.float64)
    p = functools.partial(ops.legendre_basis, n=6)
    slope, bend = jax.jacfwd(p)(x), jax.jacfwd(jax.jacfwd(p))(x)
    residual = (1 - x * x) * bend - 2 * x * slope + n * (n + 1) * p(x)
    np.testing.assert_allclose(residual, 0, atol=1e-13)
