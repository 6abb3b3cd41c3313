"""A function that mixes samples is refused, and one that does not is accepted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import StatefulLuxLayer, autodiff, nn, setup, testmode

pytestmark = pytest.mark.any_precision
X = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)), jnp.float32)
W = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3)), jnp.float32)


APART = {
    "product": lambda x: jnp.tanh(x @ W),
    "mean over coordinates": lambda x: x - x.mean(1, keepdims=True),
    "reshape and back": lambda x: (x.reshape(15, 1) * jnp.full((15, 1), 2.0, "float32")).reshape(
        5, 3
    ),
    "transposed reshape and back": lambda x: jnp.sin(x.T.reshape(15, 1)).reshape(3, 5).T,
    "map": lambda x: jax.lax.map(lambda p: jnp.sin(p @ W), x),
    "scan over depth": lambda x: jax.lax.scan(lambda c, w: (jnp.sin(c @ w), None), x, W[None])[0],
    "loop": lambda x: jax.lax.fori_loop(0, 3, lambda i, c: c * jnp.cos(c), x),
    "loop of each sample": jax.vmap(
        lambda p: jax.lax.while_loop(lambda c: jnp.sum(c**2) < 9, lambda c: 2 * c, p)
    ),
    "sort of coordinates": lambda x: jnp.sort(x, axis=1),
    "largest coordinates": lambda x: jax.lax.top_k(x, 2)[0] ** 2,
    "columns": lambda x: x[:, jnp.array([0, 2])],
    "gather by each sample": lambda x: jnp.take_along_axis(x, jnp.argsort(x, axis=1), axis=1),
    "set a column": lambda x: x.at[:, 0].add(x[:, 1]),
    "gradient of each sample": jax.vmap(jax.grad(lambda p: jnp.sin(p[0]) * p[1] ** 2)),
    "Hessian of each sample": jax.vmap(jax.hessian(lambda p: jnp.sin(p[0]) * p[1] ** 2)),
    "linear solve": jax.vmap(lambda p: jnp.linalg.solve(W + jnp.outer(p, p), p)),
    "constant largest": lambda x: x / jax.lax.stop_gradient(jnp.abs(x).max()),
    "branch on all": lambda x: jax.lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x),
    "stack": lambda x: jnp.stack([x, x**2]).sum(0),
    "quadratic form": lambda x: jnp.einsum("bi,ij,bj->b", x, W, x),
    "transform": lambda x: jnp.fft.fft(x, axis=1).real,
    "constant": lambda x: jnp.ones((5, 2), jnp.float32),
    "reverse mode inside": lambda x: autodiff.gradient(lambda x: jnp.prod(jnp.sin(x), axis=1), x),
    "forward mode inside": lambda x: autodiff.partial(lambda x: jnp.sin(x) @ W, x, "xx"),
    "weights of each sample": lambda x: x * jnp.arange(15, dtype="float32").reshape(5, 3),
}
MIXED = {
    "mean over samples": (lambda x: x - x.mean(0, keepdims=True), "reduce_sum"),
    "outer product": (lambda x: jnp.outer(x[:, 0], x[:, 1]), "mul"),
    "reversed": (lambda x: x[::-1], "rev"),
    "permuted": (lambda x: x[jnp.array([1, 0, 2, 3, 4])], "gather"),
    "carried": (lambda x: jax.lax.scan(lambda c, p: (c + p, c), W[0], x)[1], "scan"),
    "carried in a loop": (
        lambda x: jax.lax.fori_loop(0, 2, lambda i, c: c - c.mean(0, keepdims=True), x),
        "reduce_sum",
    ),
    "rows of several to a sample": (
        lambda x: jax.lax.map(jnp.sin, x.reshape(15, 1))[:5],
        "scan",
    ),
    "sorted": (lambda x: jnp.sort(x, axis=0), "sort"),
    "largest samples": (lambda x: jax.lax.top_k(x.T, 5)[0].T, "top_k"),
    "cumulative": (lambda x: jnp.cumsum(x, axis=0), "cumsum"),
    "softmax": (lambda x: jax.nn.softmax(x, axis=0), "reduce_max|reduce_sum"),
    "Gram matrix": (lambda x: x @ x.T, "dot_general|transpose"),
    "cut and joined": (lambda x: jnp.concatenate([x[1:], x[:1]]), "slice"),
    "swapped axes": (lambda x: jnp.tile(x[:, :1], (1, 5)).T, "its result has others there"),
}


@pytest.mark.parametrize("name", APART)
def test_function_that_keeps_samples_apart_has_the_blocks_of_the_whole_jacobian(name):
    f = APART[name]
    whole, found = jax.jit(lambda x: (jax.jacfwd(f)(x), autodiff.jacobian(f, x, mode="forward")))(X)
    blocks = np.stack([whole[i, ..., i, :] for i in range(len(X))])
    np.testing.assert_allclose(found, blocks, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MIXED)
def test_function_that_mixes_samples_is_refused_with_the_primitive_and_the_line(name):
    f, primitive = MIXED[name]
    where = primitive if " " in primitive else rf"`({primitive})` at .*test_samples\.py:\d+"
    with pytest.raises(ValueError, match=rf"mixes samples along axis 0: {where}"):
        autodiff.batched_jacobian(f, X)


@pytest.mark.parametrize("axis", [0, 1])
def test_each_batch_axis_is_checked(axis):
    x = jnp.ones((2, 3, 4), jnp.float32)
    f = lambda x: x - x.mean(axis, keepdims=True)
    with pytest.raises(ValueError, match=f"mixes samples along axis {axis}"):
        autodiff.jacobian(f, x)
    assert autodiff.jacobian(lambda x: x.sum(2), x).shape == (2, 3, 4)


def test_check_can_be_left_out_where_samples_do_not_mix():
    f = lambda x: jax.lax.map(jnp.sin, x, batch_size=2)
    with pytest.raises(ValueError, match="check_samples=False where you know"):
        autodiff.jacobian(f, X)
    found = autodiff.jacobian(f, X, check_samples=False)
    np.testing.assert_allclose(jnp.trace(found, axis1=1, axis2=2), jnp.cos(X).sum(1), rtol=1e-6)


def test_one_sample_has_none_to_mix_with():
    assert autodiff.jacobian(lambda x: x - x.mean(0, keepdims=True), X[:1]).shape == (1, 3, 3)


def test_batch_statistics_are_refused_in_training_and_not_in_test_mode():
    model = nn.Chain(nn.Dense(3, 4), nn.BatchNorm(4))
    ps, st = setup(0, model)
    with pytest.raises(ValueError, match="Use `testmode"):
        autodiff.jacobian(model, X, ps, st, state_policy="frozen")
    f = StatefulLuxLayer(model, ps, testmode(st))
    expected = np.stack([ps.layer_1.weight] * 5) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(autodiff.jacobian(f, X), expected, rtol=1e-5)
