"""The bilaplacian, operators of second order, and fluxes, by closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import autodiff
from sciml_lux.programs import walk
from tests.autodiff.functions import FUNCTIONS, W, X

pytestmark = pytest.mark.any_precision
RNG = np.random.default_rng(2)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_bilaplacian_of_polynomials_is_exact(count):
    x = jnp.asarray(RNG.integers(-3, 4, size=(5, count)), jnp.float32)
    r2 = lambda x: jnp.sum(x**2, axis=-1, keepdims=True)

    @jax.jit
    def all_of(x):
        fourth = autodiff.bilaplacian(lambda x: r2(x) ** 2, x)
        each = autodiff.bilaplacian(lambda x: jnp.sum(x**4, axis=-1), x)
        return fourth, each, autodiff.bilaplacian(r2, x[0])

    fourth, each, second = all_of(x)
    np.testing.assert_array_equal(fourth, np.full((5, 1), 8.0 * count * (count + 2)))
    np.testing.assert_array_equal(each, np.full(5, 24.0 * count))
    assert second.tolist() == [0.0]


def test_bilaplacian_of_a_biharmonic_function_vanishes():
    f = lambda x: jnp.sum(x**2, axis=1) * jnp.log(jnp.sum(x**2, axis=1))
    both = jax.jit(lambda x: (autodiff.bilaplacian(f, x), autodiff.partial(f, x, "xxxx")))
    found, term = both(X[:, :2])
    np.testing.assert_allclose(found, np.zeros(4), atol=2e-2)
    assert float(jnp.abs(term).min()) > 1


@pytest.mark.traced
@pytest.mark.parametrize("operator", [autodiff.laplacian, autodiff.bilaplacian])
def test_points_without_coordinates_have_no_derivatives(operator):
    x = jnp.zeros((3, 0), jnp.float32)
    assert operator(lambda x: jnp.sum(x, axis=-1), x).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("components", [(), (2,)])
def test_flux_without_coordinates_has_no_divergence(components):
    x = jnp.zeros((3, 0), jnp.float32)
    value = lambda x: jnp.ones((3, *components), x.dtype)
    found = autodiff.flux_divergence(value, x, lambda x, u, gradient: gradient)
    assert found.tolist() == jnp.zeros((3, *components)).tolist()


def test_bilaplacian_is_the_laplacian_of_the_laplacian():
    f = FUNCTIONS["two layers"]

    @jax.jit
    def both(x):
        return autodiff.bilaplacian(f, x), autodiff.laplacian(lambda x: autodiff.laplacian(f, x), x)

    found, expected = both(X)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * float(abs(expected).max()))


@pytest.mark.parametrize("of_each", [False, True])
@pytest.mark.parametrize("name", ["two layers", "quotient", "contracted product"])
def test_operator_of_second_order_is_that_of_the_hessian(name, of_each):
    f = FUNCTIONS[name]
    a = jnp.asarray(RNG.normal(size=(4, 3, 3) if of_each else (3, 3)), jnp.float32)

    @jax.jit
    def both(x, a):
        hessian = autodiff.hessian(f, x)
        each = jnp.broadcast_to(a, (4, 3, 3)).reshape(4, *[1] * (hessian.ndim - 3), 3, 3)
        expected = jnp.sum(each * hessian, axis=(-2, -1))
        return autodiff.second_order_operator(f, x, a), expected

    found, expected = both(X, a)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * float(abs(expected).max()))


def test_operator_of_second_order_has_a_derivative_by_its_matrix_everywhere():
    f = lambda x: jnp.sin(x @ W)[:, 0]
    by_matrix = jax.jit(jax.jacobian(lambda a: autodiff.second_order_operator(f, X, a)))
    hessian = jax.jit(lambda x: autodiff.hessian(f, x))(X)
    for a in (jnp.zeros((3, 3), jnp.float32), jnp.eye(3, dtype="float32"), -W):
        np.testing.assert_allclose(by_matrix(a), hessian, rtol=1e-3, atol=1e-5)


def test_small_entries_of_the_matrix_keep_their_digits_beside_large_ones():
    x = jnp.ones((1, 2), jnp.float32)
    a = jnp.asarray([[1e12, 0.0], [0.0, 1e-12]], jnp.float32)
    found = autodiff.second_order_operator(lambda x: x[:, 1] ** 2 / 2, x, a)
    assert found.tolist() == [float(np.float32(1e-12))]


def test_flux_of_a_power_of_the_gradient():
    """The p-Laplacian ∇·(|∇u|² ∇u) of u = x² y, by hand."""
    x, y = (np.asarray(X, np.float64)[:, i] for i in (0, 1))
    ux, uy, uxx, uxy, uyy = 2 * x * y, x**2, 2 * y, 2 * x, 0 * x
    expected = (ux**2 + uy**2) * (uxx + uyy) + 2 * (ux**2 * uxx + 2 * ux * uy * uxy + uy**2 * uyy)

    def power(x, u, gradient):
        return jnp.sum(gradient**2, axis=-1, keepdims=True) * gradient

    f = lambda x: x[:, 0] ** 2 * x[:, 1]
    found = jax.jit(lambda x: autodiff.flux_divergence(f, x, power))(X[:, :2])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_stress_of_a_displacement_has_a_force_with_a_component_for_each_row():
    """Linear elasticity with a modulus that varies: σ = (1 + x) (∇u + ∇uᵀ)."""
    x, y = (np.asarray(X, np.float64)[:, i] for i in (0, 1))

    def stress(x, u, gradient):
        return (1 + x[:, :1, None]) * (gradient + jnp.swapaxes(gradient, 1, 2))

    def displacement(x):
        return jnp.stack([x[:, 0] ** 2 * x[:, 1], x[:, 0] * x[:, 1] ** 3], axis=1)

    # σ₁₁ = (1+x) 4xy, σ₁₂ = σ₂₁ = (1+x)(x² + y³), σ₂₂ = (1+x) 6xy².
    first = 4 * x * y + (1 + x) * 4 * y + (1 + x) * 3 * y**2
    second = x**2 + y**3 + (1 + x) * 2 * x + (1 + x) * 12 * x * y
    found = jax.jit(lambda x: autodiff.flux_divergence(displacement, x, stress))(X[:, :2])
    np.testing.assert_allclose(found, np.stack([first, second], axis=1), rtol=1e-5)


def test_flux_takes_one_evaluation_of_the_function():
    def divergence(x):
        flux = lambda x, u, gradient: u[:, None] * gradient
        return autodiff.flux_divergence(lambda x: jnp.exp(x @ W)[:, 0], x, flux)

    visits = walk(jax.make_jaxpr(divergence)(X))
    names = [visit.equation.primitive.name for visit in visits if visit.equation is not None]
    assert names.count("exp") == 1
