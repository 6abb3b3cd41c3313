"""The forward Laplacian is the trace of the Hessian, through every kind of primitive."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import StatefulLuxLayer, autodiff, nn, setup
from sciml_lux.precision import assert_no_narrowing
from sciml_lux.programs import walk

pytestmark = pytest.mark.any_precision
X = jnp.asarray(np.random.default_rng(0).uniform(0.2, 1.2, size=(4, 3)), jnp.float32)
W = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3)), jnp.float32)


@jax.custom_jvp
def tripled(x):
    return jnp.sin(x)


tripled.defjvp(
    lambda primals, tangents: (jnp.sin(primals[0]), 3 * jnp.cos(primals[0]) * tangents[0])
)


@jax.custom_jvp
def swapped(x):
    return x[:, ::-1] ** 3


swapped.defjvp(
    lambda primals, tangents: (swapped(primals[0]), 5 * primals[0] * tangents[0][:, ::-1])
)


def solved(p):
    return jnp.linalg.solve(W @ W.T + jnp.outer(p, p) + jnp.eye(3, dtype=p.dtype), p)


FUNCTIONS = {
    "dense": lambda x: jnp.tanh(x @ W),
    "two layers": lambda x: jnp.cos(jnp.exp(jnp.tanh(x @ W) @ W)),
    "sigmoid": lambda x: jax.nn.sigmoid(x @ W) + jnp.square(jnp.sin(x)),
    "product": lambda x: x[:, 0] * x[:, 1] ** 2,
    "quotient": lambda x: jnp.sin(x) / jnp.cosh(x[:, ::-1]) + x / 3.0 + 2.0 / x,
    "quotient by a constant array": lambda x: x**3 / jnp.full((4, 3), 2.0, x.dtype),
    "difference": lambda x: 1.0 - x**2 - jnp.sin(x) + (x - 3.0),
    "softmax": jax.nn.softmax,
    "softplus": lambda x: jax.nn.softplus(x @ W),
    "gelu": lambda x: jax.nn.gelu(x @ W),
    "relu": lambda x: jax.nn.relu(x - 0.5) * x,
    "elu": lambda x: jax.nn.elu(x - 0.5) * jax.nn.silu(x),
    "erf": jax.scipy.special.erf,
    "scan": lambda x: jax.lax.scan(lambda c, _: (jnp.sin(c @ W), c), x, None, length=2)[1].sum(0),
    "while": lambda x: jax.lax.while_loop(lambda c: jnp.all(c < 9), lambda c: c * c + 1.0, x),
    "cond": lambda x: jax.lax.cond(x.sum() > 0, lambda x: x**3, jnp.sin, x),
    "remat": jax.checkpoint(lambda x: jnp.sin(x @ W)),
    "jit": jax.jit(lambda x: jnp.sin(x @ W)),
    "quadratic form": lambda x: jnp.einsum("bi,ij,bj->b", x, W, x),
    "outer product": lambda x: jnp.einsum("bi,bj->bij", x, x**2),
    "contracted product": lambda x: jnp.einsum(
        "bij,bjk->bik", x[:, :, None] * x[:, None], x[:, None] * W[None]
    ),
    "product of all": lambda x: jnp.prod(x, axis=1),
    "bell": lambda x: jnp.exp(-jnp.sum(x**2, axis=1)),
    "norm": lambda x: jnp.linalg.norm(x, axis=1),
    "angle": lambda x: jnp.arctan2(x[:, 0], x[:, 1]),
    "power": lambda x: jnp.power(x, x[:, ::-1]),
    "sorted": lambda x: jnp.sort(jnp.sin(3 * x), axis=1),
    "where": lambda x: jnp.where(x > 0.5, x**3, jnp.exp(x)),
    "largest": lambda x: jnp.max(x**2, axis=1) + jnp.minimum(x, x**2)[:, 0],
    "clipped": lambda x: jnp.clip(x**2, 0.1, 0.8),
    "concatenated": lambda x: jnp.concatenate([x**2, jnp.sin(x)], axis=1),
    "columns": lambda x: jnp.concatenate([x[:, 0:1] * x[:, 1:2], x[:, 2:3]], axis=1) ** 2,
    "gathered": lambda x: jnp.take_along_axis(x**2, jnp.argsort(x, axis=1), axis=1),
    "set": lambda x: x.at[:, 0].set(x[:, 1] ** 2).at[:, 2].add(x[:, 0] ** 2),
    "solve": jax.vmap(solved),
    "transform": lambda x: jnp.fft.rfft(jnp.sin(x), axis=1).real,
    "complex": lambda x: jnp.abs(jax.lax.complex(x, x**2)),
    "complex values": lambda x: jnp.exp(jax.lax.complex(x, x**2)),
    "cumulative": lambda x: jnp.cumsum(x**2, axis=1) + jnp.cumprod(x, axis=1),
    "constant factor": lambda x: jax.lax.stop_gradient(x) * x**2 + jnp.floor(x),
    "convolution": lambda x: jnp.sin(jax.vmap(lambda p: jnp.convolve(p, W[0]))(x)),
    "custom derivative": lambda x: tripled(x @ W),
    "custom derivative across": lambda x: swapped(jnp.sin(x)),
    "scalar": lambda x: x * x[0, 0] if x.shape[0] == 1 else x**2,
    "Laplacian": lambda x: autodiff.laplacian(lambda x: jnp.sin(x @ W) * x, x),
    "gradient": lambda x: autodiff.gradient(lambda x: jnp.sin(x @ W).sum(1), x),
    "constant": lambda x: jnp.ones((4, 2), x.dtype),
    "linear": lambda x: x @ W,
}


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
    assert sorted(equation.outvars[0].aval.shape for equation in products) == [(1, 3, 3), (4, 3)]


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
