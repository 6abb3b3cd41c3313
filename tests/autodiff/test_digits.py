"""Digits of the operators against mpmath, each with a contaminated twin that must fail."""

import functools

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from sciml_lux import autodiff, ops
from tests.autodiff.networks import derivative, exact, in_float32, network
from tests.conftest import X64, needs_x64

POINTS = np.array([[0.3, -0.7], [1.1, 0.4]])


def vector(f):
    """Two functions of two coordinates: the network, and the network of the point mirrored."""
    return lambda x: jnp.concatenate([f(x), f(x[:, ::-1])], axis=1)


def at_points(*orders):
    """Mixed derivatives of the network at the points."""
    value = exact(network(jnp.float64))
    return np.array([[float(derivative(value, p, o)) for o in orders] for p in POINTS])


def mirrored(*orders):
    value = exact(network(jnp.float64))
    return np.array([[float(derivative(value, p[::-1], o)) for o in orders] for p in POINTS])


def conducted(x, u, gradient):
    return (1 + u**2)[..., None] * gradient


def conduction(value, point):
    """The divergence of `conducted`, by hand: (1 + u²) Δu + 2u |∇u|²."""
    u, *first = (derivative(value, point, order) for order in ((0, 0), X, Y))
    with mp.workdps(40):
        laplacian = derivative(value, point, XX) + derivative(value, point, YY)
        return (1 + u**2) * laplacian + 2 * u * mp.fsum(slope**2 for slope in first)


X, Y, XX, XY, YY = (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)
OPERATORS = {
    "gradient": (autodiff.gradient, lambda: at_points(X, Y)),
    "gradient, forward": (
        functools.partial(autodiff.gradient, mode="forward"),
        lambda: at_points(X, Y),
    ),
    "jacobian": (autodiff.jacobian, lambda: at_points(X, Y)[:, None]),
    "batched_jacobian": (
        functools.partial(autodiff.batched_jacobian, mode="forward", chunk_size=1),
        lambda: at_points(X, Y)[:, None],
    ),
    "hessian": (
        autodiff.hessian,
        lambda: at_points(XX, XY, XY, YY).reshape(2, 1, 2, 2),
    ),
    "hvp": (
        lambda f, x: autodiff.hvp(f, x, (2.0, 0.5)),
        lambda: 2.0 * at_points(XX, XY) + 0.5 * at_points(XY, YY),
    ),
    "directional_derivative": (
        lambda f, x: autodiff.directional_derivative(f, x, (1.0, -1.0), order=2),
        lambda: at_points(XX, XY, YY) @ [[1.0], [-2.0], [1.0]],
    ),
    "directional_derivative, third": (
        lambda f, x: autodiff.directional_derivative(f, x, (1.0, -1.0), order=3),
        lambda: at_points((3, 0), (2, 1), (1, 2), (0, 3)) @ [[1.0], [-3.0], [3.0], [-1.0]],
    ),
    "laplacian": (autodiff.laplacian, lambda: at_points(XX, YY) @ [[1.0], [1.0]]),
    "second_order_operator": (
        lambda f, x: autodiff.second_order_operator(f, x, ((1.0, 2.0), (0.0, -3.0))),
        lambda: at_points(XX, XY, YY) @ [[1.0], [2.0], [-3.0]],
    ),
    "bilaplacian": (
        autodiff.bilaplacian,
        lambda: at_points((4, 0), (2, 2), (0, 4)) @ [[1.0], [2.0], [1.0]],
    ),
    "flux_divergence": (
        lambda f, x: autodiff.flux_divergence(f, x, conducted),
        lambda: np.array([[float(conduction(exact(network(jnp.float64)), p))] for p in POINTS]),
    ),
    "partial": (lambda f, x: autodiff.partial(f, x, "xxy"), lambda: at_points((2, 1))),
    "partial, fourth": (lambda f, x: autodiff.partial(f, x, "xxyy"), lambda: at_points((2, 2))),
    "derivatives": (
        lambda f, x: jnp.stack(
            [*autodiff.derivatives(f, x, ["u_x", "u_yyyy", "u_xyy"]).values()], axis=1
        ),
        lambda: at_points(X, (0, 4), (1, 2)),
    ),
    "time_derivative": (
        lambda f, x: autodiff.time_derivative(f, x, order=3),
        lambda: at_points((0, 3)),
    ),
    "divergence": (
        lambda f, x: autodiff.divergence(vector(f), x),
        lambda: at_points(X)[:, 0] + mirrored(X)[:, 0],
    ),
    "curl": (
        lambda f, x: autodiff.curl(vector(f), x),
        lambda: mirrored(Y)[:, 0] - at_points(Y)[:, 0],
    ),
}


@needs_x64
@pytest.mark.parametrize("name", OPERATORS)
def test_operator_has_the_digits_of_mpmath_and_a_float32_twin_does_not(name):
    operator, expected = OPERATORS[name]
    f = network(jnp.float64)
    found, twin = jax.jit(lambda x: (operator(f, x), operator(in_float32(f), x)))(POINTS)
    np.testing.assert_allclose(found, expected(), rtol=1e-12, atol=1e-13)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(twin, expected(), rtol=1e-12, atol=1e-13)


def combined(*terms):
    """A sum of derivatives of a function of two mpmath numbers, as a function of the point."""
    return lambda value, p: mp.fsum(count * derivative(value, p, order) for count, order in terms)


NESTED = {
    "laplacian": (autodiff.laplacian, combined((1, XX), (1, YY))),
    "third derivative": (lambda f, x, ps: autodiff.partial(f, x, "xxy", ps), combined((1, (2, 1)))),
    "fourth derivative": (
        lambda f, x, ps: autodiff.time_derivative(f, x, ps, order=4),
        combined((1, (0, 4))),
    ),
    "mixed fourth derivative": (
        lambda f, x, ps: autodiff.partial(f, x, "xxyy", ps),
        combined((1, (2, 2))),
    ),
    "bilaplacian": (autodiff.bilaplacian, combined((1, (4, 0)), (2, (2, 2)), (1, (0, 4)))),
    "flux": (lambda f, x, ps: autodiff.flux_divergence(f, x, conducted, ps), conduction),
}


@needs_x64
@pytest.mark.parametrize("name", NESTED)
def test_parameter_gradient_has_the_digits_of_mpmath_and_a_float32_twin_does_not(name):
    operator, value_at = NESTED[name]
    f = network(jnp.float64)

    def loss(ps, f=f):
        return jnp.sum(operator(f, POINTS[:1], ps))

    def twin(ps):
        return loss(jax.tree.map(lambda p: p.astype("float32").astype("float64"), ps))

    found, rounded = jax.jit(lambda ps: (jax.grad(loss)(ps), jax.grad(twin)(ps)))(f.ps)

    def value(w):
        return value_at(exact(f, weight=w), POINTS[0])

    with mp.workdps(40):
        w0 = mp.mpf(float(f.ps.layer_1.weight[0, 0]))
        step = mp.mpf(10) ** -12
        expected = float((value(w0 + step) - value(w0 - step)) / (2 * step))
    assert float(found.layer_1.weight[0, 0]) == pytest.approx(expected, rel=1e-12)
    assert float(rounded.layer_1.weight[0, 0]) != pytest.approx(expected, rel=1e-12)


def test_curl_in_three_dimensions_is_that_of_a_field_by_hand():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), jnp.float64 if X64 else "float32")

    def field(x):
        return jnp.stack([x[:, 1] * x[:, 2], x[:, 0] ** 2, jnp.sin(x[:, 1])], axis=1)

    a, b, c = np.asarray(x).T
    expected = np.stack([np.cos(b), b, 2 * a - c], axis=1)
    np.testing.assert_allclose(autodiff.curl(field, x), expected, rtol=1e-6)
    np.testing.assert_allclose(autodiff.divergence(field, x), np.zeros(4), atol=0)


@needs_x64
def test_laplacian_of_saturated_units_keeps_its_digits_and_that_of_jax_does_not():
    # Numbers of few bits, so that the arguments of tanh, from 10.5 to 15.5, are exact.
    weight, x = jnp.asarray([[8.0, 2.5], [9.0, 4.0]]), jnp.asarray([[1.0, 1.0], [1.25, 1.0]])

    def traces(f, x):
        return jax.vmap(lambda p: jnp.trace(jax.hessian(f)(p), axis1=-2, axis2=-1))(x)

    arguments = np.asarray(x @ weight.T)
    curvatures = [[-2 * mp.tanh(z) * mp.sech(z) ** 2 for z in row] for row in arguments]
    want = np.asarray(curvatures, float) * np.sum(np.square(weight), axis=1)
    for laplacian in (autodiff.laplacian, traces):
        found, twin = (laplacian(lambda x, f=f: f(x @ weight.T), x) for f in (ops.tanh, jnp.tanh))
        np.testing.assert_allclose(found, want, rtol=1e-15)
        assert np.abs(twin / want - 1).max() > 1e-9
