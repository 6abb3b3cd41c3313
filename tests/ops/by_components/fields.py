"""Right-hand sides of small equations, and functions that use each kind of primitive."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sciml_lux import apply, nn, ops, setup


def lorenz(t, y, p):
    return jnp.stack([p[0] * (y[1] - y[0]), y[0] * (p[1] - y[2]) - y[1], y[0] * y[1] - p[2] * y[2]])


def lotka_volterra(t, y, p):
    prey, hunters = y
    return jnp.array([p[0] * prey - p[1] * prey * hunters, p[2] * prey * hunters - hunters])


def van_der_pol(t, y, p):
    return jnp.concatenate([y[1:], p[0] * (1 - y[:1] ** 2) * y[1:] - y[:1]])


def robertson(t, y, p):
    slow, fast, middle = p[0] * y[0], p[1] * y[1] ** 2, p[2] * y[1] * y[2]
    return jnp.stack([middle - slow, slow - middle - fast, fast])


def pendulum(t, y, p):
    return jnp.hstack([y[1], -p[0] * jnp.sin(y[0]) - p[1] * jnp.tanh(y[1]) + jnp.cos(t)])


def two_bodies(t, y, p):
    x, v = y.reshape(2, 2, 2)
    apart = x[None] - x[:, None]
    squared = jnp.sum(apart**2, axis=-1) + 0.1
    pull = p[:2][None, :, None] * apart / squared[..., None] ** 1.5
    return jnp.stack([v, pull.sum(axis=1)]).ravel()


def brusselator(t, y, p):
    u, v = jnp.split(y, 2)
    spread = jnp.roll(u, 1) + jnp.roll(u, -1) - 2 * u
    both = u**2 * v
    return jnp.concatenate([p[0] + both - (p[1] + 1) * u + spread, p[1] * u - both])


def fitzhugh_nagumo(t, y, p):
    v, w = y[0], y[1]
    return jnp.array([v - v**3 / 3 - w + p[0], p[1] * (v + 0.7 - 0.8 * w)])


def matrix_vector(t, y, p):
    return p.reshape(3, 3) @ y


def oscillators(t, y, p):
    return p + jnp.mean(jnp.sin(y[None, :] - y[:, None]), axis=1)


def switched(t, y, p):
    return jnp.where(y > p, jnp.exp(-y), jnp.clip(y, -0.5, 0.5)) + jnp.sign(y)


def largest(t, y, p):
    return y * jnp.max(jnp.stack([y[0], y[0], y[1]])) - jnp.min(p) + jnp.prod(y)


def gathered(t, y, p):
    return y[jnp.array([2, 0, 1])].at[jnp.array([0, 0])].add(p[:2]).at[1].set(t)


def summed(t, y, p):
    return (
        jnp.cumsum(y)[::-1]
        + jnp.cumsum(p[::-1])
        + jnp.pad(y[1:], (0, 1))
        + jnp.arange(3, dtype=y.dtype) * t
    )


def upper(t, y, p):
    return jnp.einsum("ij,jk,k->i", jnp.triu(p.reshape(2, 2)), jnp.diag(y), y)


def hamiltonian(t, y, p):
    slope = jax.grad(lambda y: jnp.sum(y[2:] ** 2) / 2 + jnp.sum(p * jnp.cosh(y[:2])))(y)
    return jnp.concatenate([slope[2:], -slope[:2]])


def rotation(t, y, p):
    angle = p[0] * t
    turn = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    return turn @ jax.jit(jnp.flip)(jax.checkpoint(jnp.square)(y))


def softmax(t, y, p):
    return jax.nn.softmax(y) * ops.softmax(p)


def table(t, y, p):
    return jax.lax.dynamic_slice(jnp.asarray(np.arange(5), y.dtype), (1,), (3,)) * y + p


def kinetics(t, y, p):
    stoichiometry = np.array([[-1, 1, 0], [1, -1, -1], [0, 0, 1]])
    rates = p * jnp.stack([y[0], y[1], y[1] ** 2])
    return jnp.asarray(stoichiometry, y.dtype) @ rates


def diagonal(t, y, p):
    turned = jax.lax.switch(1, [lambda y: y, jnp.flip], y)
    products = jnp.outer(turned, p)
    return jnp.diag(products) + jnp.ravel(products, order="F")[4:7]


def logical(t, y, p):
    above, places = y > p, jnp.array([2, 0, 1])
    number = jnp.max(y.astype(jnp.int32)) + jnp.max(above).astype(jnp.int32)
    return jnp.where(above[places] | (above @ above[places]), y, p) * number.astype(y.dtype)


FIELDS: dict[str, tuple[Any, int, int]] = {
    "lorenz": (lorenz, 3, 3),
    "lotka-volterra": (lotka_volterra, 2, 3),
    "van-der-pol": (van_der_pol, 2, 1),
    "robertson": (robertson, 3, 3),
    "pendulum": (pendulum, 2, 2),
    "two-bodies": (two_bodies, 8, 2),
    "brusselator": (brusselator, 6, 2),
    "fitzhugh-nagumo": (fitzhugh_nagumo, 2, 2),
    "matrix-vector": (matrix_vector, 3, 9),
    "oscillators": (oscillators, 3, 3),
    "switched": (switched, 3, 3),
    "largest": (largest, 2, 2),
    "gathered": (gathered, 3, 3),
    "summed": (summed, 3, 3),
    "upper": (upper, 2, 4),
    "hamiltonian": (hamiltonian, 4, 2),
    "rotation": (rotation, 2, 1),
    "softmax": (softmax, 3, 3),
    "table": (table, 3, 3),
    "kinetics": (kinetics, 3, 3),
    "diagonal": (diagonal, 3, 3),
    "logical": (logical, 3, 3),
}
"""A function of time, state and parameters, and the sizes of the last two."""

ACTIVATIONS = (
    *("tanh", "sigmoid", "relu", "gelu", "gelu_tanh", "softplus", "swish", "mish", "elu", "selu"),
    *("celu", "leakyrelu", "hardtanh", "hardswish", "softsign", "tanhshrink", "logsigmoid"),
    *("relu6", "lisht", "logcosh", "tanh_fast", "sigmoid_fast"),
)


def network(activation):
    """A small network as a field, and the sizes of state and parameters."""
    model = nn.Chain(nn.Dense(2, 3, getattr(nn, activation)), nn.Dense(3, 2))
    ps, st = setup(0, model)
    flat, tree = jax.flatten_util.ravel_pytree(ps)

    def field(t, y, p):
        return apply(model, y, tree(p), st)[0] + t

    return field, 2, flat.size
