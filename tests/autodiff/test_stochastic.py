"""Estimates are unbiased: their mean over all directions there are is the operator itself."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import autodiff
from sciml_lux.autodiff.operators._stochastic import (
    _bilaplacian_along,
    _divergence_along,
    _laplacian_along,
)
from sciml_lux.autodiff.points._points import field_of
from sciml_lux.programs import walk

pytestmark = pytest.mark.any_precision
POINT = jnp.asarray([[0.3, -0.5, 0.8]], jnp.float32)
SIGNS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)), np.float32)
UNITS = np.sqrt(np.float32(3)) * np.eye(3, dtype=np.float32)
KEY = jax.random.key(7)


def value(x):
    return jnp.sin(x[:, 0] * x[:, 1]) + jnp.exp(x[:, 2] * x[:, 0]) + x[:, 1] ** 4


def vector(x):
    return jnp.stack([value(x), x[:, 0] * x[:, 1], jnp.cos(x[:, 2] + x[:, 1])], axis=1)


def field(f):
    return field_of("test", f, POINT, (), state_policy="refuse", check_samples=True)


def each(estimate, *rows):
    """The estimate by each direction alone."""
    one_by_one = jax.jit(jax.vmap(lambda *v: estimate(*(v[None, None] for v in v))[0]))
    return np.asarray(one_by_one(*rows), np.float64)


@pytest.mark.parametrize("rows", [SIGNS, UNITS], ids=["rademacher", "coordinates"])
def test_laplacian_is_unbiased_with_the_variance_of_the_docstring(rows):
    found = each(lambda v: _laplacian_along(field(value), v), rows)
    hessian = np.asarray(jax.jit(lambda x: autodiff.hessian(value, x))(POINT)[0], np.float64)
    exact, diagonal = np.trace(hessian), np.diag(hessian)
    np.testing.assert_allclose(found.mean(), exact, rtol=1e-5)
    variance = 2 * np.sum((hessian - np.diag(diagonal)) ** 2)
    if rows is UNITS:
        variance = 3 * np.sum(diagonal**2) - exact**2
    np.testing.assert_allclose(found.var(), variance, rtol=1e-4)


@pytest.mark.parametrize("rows", [SIGNS, UNITS], ids=["rademacher", "coordinates"])
def test_divergence_is_unbiased_with_the_variance_of_the_docstring(rows):
    found = each(lambda v: _divergence_along(field(vector), v), rows)
    jacobian = np.asarray(autodiff.jacobian(vector, POINT)[0], np.float64)
    symmetric, exact = (jacobian + jacobian.T) / 2, np.trace(jacobian)
    np.testing.assert_allclose(found.mean(), exact, rtol=1e-5)
    diagonal = np.diag(symmetric)
    variance = 2 * np.sum((symmetric - np.diag(diagonal)) ** 2)
    if rows is UNITS:
        variance = 3 * np.sum(diagonal**2) - exact**2
    np.testing.assert_allclose(found.var(), variance, rtol=1e-4)


@pytest.mark.parametrize("rows", [SIGNS, UNITS], ids=["rademacher", "coordinates"])
def test_bilaplacian_is_unbiased(rows):
    v, w = (np.array(part) for part in zip(*itertools.product(rows, rows), strict=True))
    found = each(lambda v, w: _bilaplacian_along(field(value), v, w), v, w)
    exact = jax.jit(lambda x: autodiff.bilaplacian(value, x))(POINT)[0]
    np.testing.assert_allclose(found.mean(), exact, rtol=1e-4)


def test_mean_of_many_samples_is_that_of_each():
    found = _laplacian_along(field(value), jnp.asarray(SIGNS)[None, :5])
    expected = each(lambda v: _laplacian_along(field(value), v), SIGNS[:5]).mean()
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


ESTIMATES = {
    "laplacian": (autodiff.stochastic_laplacian, autodiff.laplacian, value),
    "divergence": (autodiff.stochastic_divergence, autodiff.divergence, vector),
    "bilaplacian": (autodiff.stochastic_bilaplacian, autodiff.bilaplacian, value),
}


@pytest.mark.parametrize("distribution", ["rademacher", "normal", "coordinates"])
@pytest.mark.parametrize("name", ESTIMATES)
def test_estimate_from_keys_is_close_to_the_operator(name, distribution):
    estimate, operator, f = ESTIMATES[name]
    x = jnp.broadcast_to(POINT, (2000, 3))
    found = jax.jit(lambda x: estimate(f, x, KEY, samples=3, distribution=distribution))(x)
    error = 4 * float(found.std()) / np.sqrt(2000)
    assert error > 0 and abs(float(found.mean() - operator(f, POINT)[0])) < error


def test_directions_differ_between_points_and_are_those_of_the_key():
    x = jnp.broadcast_to(POINT, (8, 3))
    estimate = jax.jit(lambda x, key: autodiff.stochastic_laplacian(value, x, key))
    first, again, other = (estimate(x, key) for key in (KEY, KEY, jax.random.key(8)))
    assert len(set(first.tolist())) > 1
    assert first.tolist() == again.tolist() != other.tolist()


def test_mean_of_many_samples_does_not_overflow_in_float16():
    x = jnp.ones((1, 100), jnp.float16)
    f = lambda x: jnp.sum(x**2, axis=1) * 100
    found = jax.jit(lambda x: autodiff.stochastic_laplacian(f, x, KEY, samples=30))(x)
    assert found.tolist() == [20000.0]


def test_wrong_use_says_what_to_do():
    with pytest.raises(TypeError, match="`key` to be a typed random key, got 0. Make one with jax"):
        autodiff.stochastic_laplacian(value, POINT, 0)
    with pytest.raises(TypeError, match="`stochastic_bilaplacian` expects `key` to be a typed"):
        autodiff.stochastic_bilaplacian(value, POINT, None)
    with pytest.raises(ValueError, match="`samples` to be an integer of at least 1, got 0"):
        autodiff.stochastic_divergence(vector, POINT, KEY, samples=0)
    with pytest.raises(ValueError, match='"rademacher", "normal" or "coordinates", got'):
        autodiff.stochastic_laplacian(value, POINT, KEY, distribution="uniform")
    with pytest.raises(ValueError, match="`stochastic_divergence` expects `f` to have as many"):
        autodiff.stochastic_divergence(value, POINT, KEY)
    for operator in (autodiff.stochastic_laplacian, autodiff.stochastic_bilaplacian):
        with pytest.raises(ValueError, match="one random key, got an array of shape \\(3,\\)"):
            operator(value, POINT, jax.random.split(KEY, 3))


def test_gradient_adds_directions_in_float32():
    x = jnp.ones((1, 1), jnp.float16)

    def slope(scale):
        f = lambda x: (scale[None] * x[:, 0]) ** 4 / 24
        return autodiff.stochastic_bilaplacian(f, x, KEY, samples=4096).sum()

    visits = walk(jax.make_jaxpr(jax.grad(slope))(jnp.ones((), jnp.float16)))
    sums = [v.equation for v in visits if v.equation and "sum" in v.equation.primitive.name]
    added = {e.invars[0].aval.dtype for e in sums if e.invars[0].aval.size > 1}
    assert added == {jnp.dtype("float32")}
