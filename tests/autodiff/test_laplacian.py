"""The forward Laplacian is the trace of the Hessian, through every kind of primitive."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import StatefulLuxLayer, autodiff, nn, setup
from sciml_lux.precision import assert_no_narrowing
from sciml_lux.programs import walk
from tests.autodiff.functions import FUNCTIONS, W, X, tripled

pytestmark = pytest.mark.any_precision


def trace_of_hessian(f, x):
    return jnp.trace(autodiff.hessian(f, x), axis1=-2, axis2=-1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_laplacian_is_the_trace_of_the_hessian(name):
    f = FUNCTIONS[name]
    found, expected = jax.jit(lambda x: (autodiff.laplacian(f, x), trace_of_hessian(f, x)))(X)
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


def test_laplacian_of_one_point_takes_a_scalar_that_depends_on_it():
    f = lambda x: jnp.sin(x) * jnp.sum(x**2) + jnp.sum(x) / (1.0 + x**2) - jnp.prod(x)
    expected = jnp.trace(jax.hessian(f)(X[0]), axis1=1, axis2=2)
    np.testing.assert_allclose(autodiff.laplacian(f, X[0]), expected, rtol=1e-4)


MODELS = {
    "tanh": nn.Chain(nn.Dense(3, 4, nn.tanh), nn.Dense(4, 1)),
    "gelu and norm": nn.Chain(nn.Dense(3, 4, nn.gelu), nn.LayerNorm(4), nn.Dense(4, 2)),
    "repeated": nn.RepeatedLayer(nn.Dense(3, 3, nn.tanh), 3),
    "SIREN": nn.SIREN(3, (4, 4), 1),
    "periodic": nn.Chain(nn.PeriodicEmbedding([0], [1.0]), nn.Dense(4, 1, nn.softplus)),
}


@pytest.mark.parametrize("name", MODELS)
def test_laplacian_of_a_model_and_its_gradient_are_those_of_the_hessian(name):
    model = MODELS[name]
    f = StatefulLuxLayer(model, *setup(0, model))

    def loss(ps, operator):
        return jnp.sum(operator(lambda x: f(x, ps), X) ** 2)

    @jax.jit
    def gradients(ps):
        return [jax.grad(loss)(ps, op) for op in (autodiff.laplacian, trace_of_hessian)]

    found, expected = gradients(f.ps)
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    for ours, hessian in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(ours, hessian, rtol=1e-3, atol=1e-4 * scale)


def equations(f, *names):
    """The equations of some primitives in the program of the Laplacian of `f`."""
    program = jax.make_jaxpr(functools.partial(autodiff.laplacian, f))(X)
    found = [visit.equation for visit in walk(program) if visit.equation is not None]
    return [equation for equation in found if equation.primitive.name in names]


def test_first_layer_has_one_jacobian_for_all_samples():
    products = equations(lambda x: jnp.sin(x @ W), "dot_general")
    assert sorted(equation.outvars[0].aval.shape for equation in products) == [(3, 3), (4, 3)]


@pytest.mark.parametrize("of_each", [False, True])
def test_directions_give_the_operator_of_their_products(of_each):
    f = FUNCTIONS["two layers"]
    rows = np.random.default_rng(2).normal(size=(4, 2, 3) if of_each else (2, 3))
    rows = jnp.asarray(rows, jnp.float32)
    found = jax.jit(lambda x, v: autodiff.laplacian(f, x, directions=v))(X, rows)
    each = rows if of_each else jnp.broadcast_to(rows, (4, 2, 3))
    hessian = autodiff.hessian(f, X)
    expected = jnp.einsum("bki,bkj,boij->bo", each, each, hessian)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_directions_of_another_shape_or_dtype_are_an_error():
    with pytest.raises(ValueError, match=r"\(directions, 3\), or \(4, 'directions', 3\) .* got"):
        autodiff.laplacian(jnp.sin, X, directions=jnp.ones((2, 2), jnp.float32))
    with pytest.raises(ValueError, match=r"got \(2, 1, 3\)"):
        autodiff.laplacian(jnp.sin, X, directions=jnp.ones((2, 1, 3), jnp.float32))
    with pytest.raises(TypeError, match="`directions` to hold floats no wider than the float32"):
        autodiff.laplacian(jnp.sin, X, directions=jnp.ones((2, 3), int))


def test_checkpointed_function_is_checkpointed_still():
    assert equations(jax.checkpoint(lambda x: jnp.sin(x @ W)), "remat", "remat2", "checkpoint")


def test_custom_derivative_is_evaluated_once_for_all_directions():
    sines = equations(lambda x: tripled(x @ W), "sin", "cos")
    assert {equation.outvars[0].aval.shape for equation in sines} == {(4, 3)}


def test_custom_vjp_is_an_error_with_its_line():
    f = jax.custom_vjp(jnp.sin)
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, t: (jnp.cos(x) * t,))
    with pytest.raises(TypeError, match=r"got the `custom_vjp` at .*test_laplacian.py:\d+\. Give"):
        autodiff.laplacian(lambda x: 2.0 * f(x), X)


def test_half_precision_adds_the_directions_in_float32():
    x = jnp.ones((1, 4096), jnp.float16)
    found = jax.jit(lambda x: autodiff.laplacian(lambda x: jnp.square(x).sum(1) / 4, x))(x)
    assert found.tolist() == [2048.0]

    def of_scale(scale):
        return autodiff.laplacian(lambda x: jnp.sin(x * scale).sum(1), jnp.zeros_like(x)).sum()

    def slope(scale):
        return autodiff.laplacian(lambda x: jnp.square(x).sum(1) * scale / 4, x).sum()

    assert jax.jit(jax.grad(slope))(jnp.ones((), jnp.float16)) == 2048.0
    assert jax.jit(of_scale)(jnp.ones((), jnp.float16)) == 0.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradient_of_the_laplacian_adds_nothing_in_half_precision(dtype):
    model = nn.Chain(nn.Dense(3, 4, nn.tanh), nn.Dense(4, 4, nn.gelu), nn.Dense(4, 1))
    ps, st = setup(0, model, dtype=dtype)
    x = X.astype(dtype)
    assert_no_narrowing(lambda x, ps: autodiff.laplacian(model, x, ps, st), x, ps, grads=1)
