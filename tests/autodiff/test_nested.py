"""Operators are differentiated again, nested, compiled and mapped like any function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import autodiff
from tests.autodiff.networks import network

pytestmark = pytest.mark.any_precision
F = network("float32")
X = jnp.asarray([[0.3, -0.7], [1.1, 0.4], [0.0, 2.0]], jnp.float32)
DIRECTION = (0.5, -1.0)
COMPILED = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: COMPILED.append(1) if "backend_compile" in event else None
)
INDEFINITE = jnp.asarray([[1.0, 2.0], [0.5, -1.0]], jnp.float32)
KEY = jax.random.key(0)
OPERATORS = {
    "gradient": autodiff.gradient,
    "gradient, forward": lambda f, x: autodiff.gradient(f, x, mode="forward"),
    "batched_jacobian": lambda f, x: autodiff.batched_jacobian(f, x, chunk_size=1),
    "hessian": autodiff.hessian,
    "hvp": lambda f, x: autodiff.hvp(f, x, DIRECTION),
    "laplacian": autodiff.laplacian,
    "partial": lambda f, x: autodiff.partial(f, x, "xxy"),
    "second_order_operator": lambda f, x: autodiff.second_order_operator(
        f, x, x[:, :, None] * INDEFINITE[None]
    ),
    "bilaplacian": autodiff.bilaplacian,
    "flux_divergence": lambda f, x: autodiff.flux_divergence(
        f, x, lambda x, u, gradient: jnp.exp(u)[..., None] * gradient
    ),
    "stochastic_bilaplacian": lambda f, x: autodiff.stochastic_bilaplacian(f, x, KEY),
    "divergence": lambda f, x: autodiff.divergence(lambda x: x * f(x), x),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_gradient_by_parameters_is_the_same_in_both_modes_and_that_of_differences(name):
    def loss(ps):
        return jnp.sum(OPERATORS[name](lambda x: F(x, ps), X) ** 2)

    @jax.jit
    def all_of(ps, step):
        reverse = jax.tree.map(lambda g, s: jnp.sum(g * s), jax.grad(loss)(ps), step)
        forward = jax.jvp(loss, (ps,), (step,))[1]
        curvature = jax.jvp(jax.grad(loss), (ps,), (step,))[1]
        ahead = jax.tree.map(lambda p, s: p + 1e-2 * s, ps, step)
        behind = jax.tree.map(lambda p, s: p - 1e-2 * s, ps, step)
        slope = (loss(ahead) - loss(behind)) / 2e-2
        return sum(jax.tree.leaves(reverse)), forward, slope, curvature

    step = jax.tree.map(lambda p: jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), F.ps)
    reverse, forward, slope, curvature = all_of(F.ps, step)
    np.testing.assert_allclose(reverse, forward, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(reverse, slope, rtol=2e-2, atol=1e-3)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(curvature))


def test_nested_operators_are_one_operator_of_higher_order():
    def again(x):
        once = lambda x: autodiff.partial(F, x, "x")
        return autodiff.gradient(lambda x: autodiff.partial(once, x, "y"), x)

    @jax.jit
    def at_once(x):
        return jnp.concatenate([autodiff.partial(F, x, by) for by in ("xxy", "xyy")], axis=1)

    np.testing.assert_allclose(jax.jit(again)(X), at_once(X), rtol=1e-4, atol=1e-6)

    @jax.jit
    def twice(x):
        divergence = autodiff.divergence(lambda x: autodiff.gradient(F, x), x)
        return divergence, jnp.trace(autodiff.hessian(F, x)[:, 0], axis1=1, axis2=2)

    np.testing.assert_allclose(*twice(X), rtol=1e-4, atol=1e-6)


def test_one_point_and_more_batch_axes_give_the_same_as_a_batch():
    hessian = jax.jit(lambda x: autodiff.hessian(F, x))
    expected = hessian(X)
    for x in (X[0], X[None], X[:, None]):
        found = hessian(x)
        assert found.shape == (*x.shape[:-1], 1, 2, 2)
        np.testing.assert_allclose(found.reshape(-1, 2, 2)[0], expected[0, 0], rtol=1e-5)
    mapped = jax.vmap(hessian)(X)
    np.testing.assert_allclose(mapped, expected, rtol=1e-5)


def test_samples_of_any_shape_have_one_jacobian_each():
    images = jnp.ones((2, 3, 4), jnp.float32) * jnp.arange(1.0, 3.0, dtype="float32")[:, None, None]
    f = lambda x: jnp.stack([jnp.sum(x**2, axis=(1, 2)), jnp.sum(x, axis=(1, 2))], axis=1)
    expected = np.stack([2 * images, np.ones_like(images)], axis=1)
    for mode in ("forward", "reverse", "auto"):
        for chunk_size in (None, 5):
            found = autodiff.batched_jacobian(f, images, mode=mode, chunk_size=chunk_size)
            np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_products_are_those_of_the_whole_jacobian_and_differentiable_by_the_vector():
    f = lambda x: jnp.cumsum(jnp.sin(x), axis=0)
    whole = jax.jacobian(f)(X)
    u = jnp.cos(X)
    pushed = autodiff.jacobian_vector_product(f, X, u)
    np.testing.assert_allclose(pushed, jnp.einsum("abcd,cd->ab", whole, u), rtol=1e-5, atol=1e-6)
    pulled = autodiff.vector_jacobian_product(f, X, u)
    np.testing.assert_allclose(pulled, jnp.einsum("abcd,ab->cd", whole, u), rtol=1e-5, atol=1e-6)
    by_vector = jax.grad(lambda u: autodiff.vector_jacobian_product(f, X, u).sum())(u)
    np.testing.assert_allclose(by_vector, whole.sum((2, 3)), rtol=1e-5, atol=1e-6)


def test_function_that_reads_a_changed_variable_is_traced_again():
    scale = 1.0
    f = lambda x: scale * x[:, 0]
    assert autodiff.gradient(f, X)[0, 0] == 1.0
    scale = 3.0
    assert autodiff.gradient(f, X)[0, 0] == 3.0


def test_nothing_leaks_out_of_a_trace():
    with jax.checking_leaks():
        for name in ("hessian", "laplacian", "partial", "bilaplacian", "flux_divergence"):
            jax.jit(jax.grad(lambda ps, op=OPERATORS[name]: op(lambda x: F(x, ps), X).sum()))(F.ps)


@pytest.mark.parametrize("name", OPERATORS)
def test_eager_call_compiles_nothing_again(name):
    OPERATORS[name](F, X)
    count = len(COMPILED)
    OPERATORS[name](F, X)
    assert len(COMPILED) == count


def test_loop_without_reverse_mode_is_differentiated_in_forward_mode():
    loop = lambda p: jax.lax.while_loop(lambda c: c.sum() < 9, lambda c: c * c + 1.0, p).prod()
    f, v = jax.vmap(loop), jnp.asarray([0.5, -2.0], X.dtype)

    @jax.jit
    def all_of(x):
        found = autodiff.gradient(f, x), autodiff.hvp(f, x, v), autodiff.hessian(f, x)
        slopes, curvatures = jax.jacfwd(loop), jax.jacfwd(jax.jacfwd(loop))
        return found, (jax.vmap(slopes)(x), jax.vmap(curvatures)(x) @ v, jax.vmap(curvatures)(x))

    for found, expected in zip(*all_of(jnp.abs(X)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_loops_of_integers_and_inside_custom_rules_leave_reverse_mode():
    @jax.custom_vjp
    def power(x):
        return jax.lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] * x), (0, x))[1]

    power.defvjp(lambda x: (power(x), x), lambda x, slope: (3 * x**2 * slope,))
    count = lambda x: jax.lax.while_loop(lambda n: n < 3, lambda n: n + 1, 0).astype(x.dtype)
    found = autodiff.gradient(lambda x: jnp.sum(power(x), axis=1) * count(x), X)
    np.testing.assert_allclose(found, 9 * X**2, rtol=1e-5)
