"""Activations and their first three derivatives against mpmath, in every nesting of the two modes.

The errors are in units of eps times the largest term of the sum that the product rule gives. What
is below `FLOORS` may be lost where a factor of it is too small for the dtype.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.catalogue import ACTIVATIONS
from tests.conftest import X64, needs_x64

from ._terms import worst

NAMES = sorted(entry.name for entry in ACTIVATIONS)
DTYPE = "float64" if X64 else "float32"
FLOORS = {"float64": 1e-300, "float32": 1e-32}
# Where pieces meet, as at 1, the derivative is a convention.
NEAR = [1e-9, 1e-3, 0.05, 0.2, 0.4999, 0.7, 0.9999, 1.0001, 1.5, 2.0, 2.9999, 3.5, 4.9, 6.01, 6.9]
MIDDLE = [8.0, 8.6, 12.3, 17.97, 19.66, 20.8, 24.5, 30.0, 37.9, 38.3]
FAR = {
    "float64": [1e-290, 1e-150, 150.0, 368.3, 700.0],
    "float32": [1e-30, 1e-15, 43.7, 88.0, 100.0],
}


def grid(dtype):
    points = np.asarray([*NEAR, *MIDDLE, *FAR[dtype]])
    return np.concatenate([-points, [0.0], points]).astype(dtype)


def forward(f):
    return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def reverse(f):
    return lambda x: jax.vjp(f, x)[1](jnp.ones_like(x))[0]


def nested(f, modes):
    return functools.reduce(lambda g, mode: mode(g), modes, f)


def all_nestings(order):
    return list(itertools.product([forward, reverse], repeat=order))


# Each mode directly around each one, for three orders.
SOME = [[()], all_nestings(1), all_nestings(2), [(forward,) * 3, (reverse,) * 3]]
SOME[3] += [(reverse, forward, reverse)]


def errors(f, name, x, nestings):
    """For each order, the largest error of all nestings and where it is, from one program."""
    program = jax.jit(lambda x: [[nested(f, n)(x) for n in order] for order in nestings])
    dtype = x.dtype.name
    eps = float(jnp.finfo(dtype).eps)
    return [
        max(worst(np.asarray(y), x, name, order, FLOORS[dtype], eps) for y in found)
        for order, found in enumerate(program(jnp.asarray(x)))
    ]


def bars(name):
    """By how much each order may be wrong."""
    return [4, 4, 4, 5 if name in ("gelu", "gelu_tanh") else 4]


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_keep_their_digits(name):
    found = errors(getattr(ops, name), name, grid(DTYPE), SOME)
    assert all(error <= bar for (error, _), bar in zip(found, bars(name), strict=True)), found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32"] + ["float64"] * X64)
def test_derivatives_keep_their_digits_at_many_points_in_all_nestings(name, dtype):
    rng, end = np.random.default_rng(0), FAR[dtype][-1]
    sizes = [rng.uniform(0.001, 3, 120), rng.uniform(3, 40, 120), rng.uniform(40, end, 40)]
    points = np.concatenate([*sizes, np.geomspace(FAR[dtype][0], 1e-3, 20)])
    x = np.concatenate([-points, points]).astype(dtype)
    found = errors(getattr(ops, name), name, x, [all_nestings(order) for order in range(4)])
    assert all(error <= bar for (error, _), bar in zip(found, bars(name), strict=True)), found


# The formulas that JAX has or would differentiate: all miss the digits of a derivative.
TWINS = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "swish": jax.nn.silu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "celu": jax.nn.celu,
    "softplus": jax.nn.softplus,
    "logsigmoid": jax.nn.log_sigmoid,
    "mish": lambda x: x * jnp.tanh(jax.nn.softplus(x)),
    "lisht": lambda x: x * jnp.tanh(x),
    "tanhshrink": lambda x: x - jnp.tanh(x),
    "logcosh": lambda x: jnp.log(jnp.cosh(x)),
    "gelu_tanh": jax.nn.gelu,
    "gelu_erf": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_sigmoid": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "softsign": jax.nn.soft_sign,
}
FORWARD = [[(forward,) * order] for order in range(4)]


# From jax 0.12 on, elu and selu of JAX have their digits.
@pytest.mark.parametrize("name", [name for name in TWINS if name not in ("elu", "selu")])
def test_formulas_of_jax_miss_the_digits(name):
    assert max(errors(TWINS[name], name, grid(DTYPE), FORWARD))[0] > 8


@needs_x64
@pytest.mark.parametrize("name", TWINS)
def test_contaminated_activation_misses_the_digits(name):
    def contaminated(x):
        return getattr(ops, name)(x.astype(jnp.float32).astype(x.dtype))

    found = errors(contaminated, name, grid("float64"), FORWARD)
    assert all(error > 1e6 for error, _ in found), found


@pytest.mark.any_precision
@pytest.mark.parametrize("name", ["tanh", "tanhshrink", "softsign", "lisht", "swish", "elu"])
def test_negative_zero_is_kept(name):
    y = getattr(ops, name)(jnp.asarray([-0.0, 0.0], jnp.float32))
    even = name == "lisht"
    np.testing.assert_array_equal(np.signbit(y), [not even, False])
