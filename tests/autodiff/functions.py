"""Functions of points that use every kind of primitive."""

import jax
import jax.numpy as jnp
import numpy as np

from sciml_lux import autodiff

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
    "mapped while": jax.vmap(
        lambda p: jax.lax.while_loop(lambda c: c[0] < 2, lambda c: c * c + 1.0, p)
    ),
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
    "two largest": lambda x: jax.lax.top_k(jnp.sin(3 * x), 2)[0] ** 2,
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
