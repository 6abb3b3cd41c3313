"""Derivatives of higher order that pass a program together, through every kind of primitive."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import autodiff, nn, setup
from sciml_lux.autodiff.propagation._words import partitions, parts_of, splits
from sciml_lux.programs import walk
from tests.autodiff.functions import FUNCTIONS, W, X, solved

pytestmark = pytest.mark.any_precision
V = jnp.asarray(np.random.default_rng(5).normal(size=(4, 3)), jnp.float32)
QUICK = (
    "two layers",
    "quotient",
    "scan",
    "while",
    "cond",
    "custom derivative",
    "contracted product",
)


def nested(f, *directions):
    for direction in directions:
        f = functools.partial(lambda f, v, x: jax.jvp(f, (x,), (v,))[1], f, direction)
    return f


def assert_same(found, expected):
    scale = 1.0 + float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-5 * scale)


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in FUNCTIONS],
)
def test_third_and_mixed_fourth_derivatives_are_those_of_nested_forward_mode(name):
    f, unit = FUNCTIONS[name], jnp.zeros_like(X).at[:, 1].set(1)

    @jax.jit
    def both(x):
        third = autodiff.directional_derivative(f, x, V, order=3)
        mixed = autodiff.partial(lambda x: autodiff.directional_derivative(f, x, V), x, "yyy")
        return (third, nested(f, V, V, V)(x)), (mixed, nested(f, V, unit, unit, unit)(x))

    for found, expected in both(X):
        assert found.shape == expected.shape and found.dtype == expected.dtype
        assert_same(found, expected)


@pytest.mark.parametrize("f", [jnp.tanh, jnp.sin, jax.nn.sigmoid], ids=["tanh", "sin", "sigmoid"])
def test_orders_above_the_fourth(f):
    x = jnp.asarray([[0.4]], jnp.float32)
    found = jax.jit(lambda x: autodiff.time_derivative(f, x, order=5))(x)
    np.testing.assert_allclose(found, jax.jit(nested(f, *[jnp.ones_like(x)] * 5))(x), rtol=1e-4)


def test_powers_end():
    x = jnp.asarray([[0.0], [2.0]], jnp.float32)
    f = lambda x: x[:, 0] ** 3 + jnp.square(x[:, 0]) + x[:, 0] ** -2
    found = autodiff.time_derivative(lambda x: x[:, 0] ** 3 + jnp.square(x[:, 0]), x, order=4)
    assert found.tolist() == [0.0, 0.0]
    found = autodiff.time_derivative(f, x[1:], order=4)
    assert found.tolist() == [math.factorial(5) / 2.0**6]


def test_scanned_layers_are_carried_with_their_derivatives():
    model = nn.RepeatedLayer(nn.Dense(3, 3, nn.tanh), 3)
    ps, st = setup(0, model)
    f = lambda x: model(x, ps, st)[0]
    found = jax.jit(lambda x: autodiff.directional_derivative(f, x, V, order=3))(X)
    assert_same(found, jax.jit(nested(f, V, V, V))(X))
    assert autodiff.fallbacks(autodiff.laplacian, f, X) != []
    third = functools.partial(autodiff.directional_derivative, direction=V, order=3)
    assert autodiff.fallbacks(third, f, X) == []


def test_derivatives_share_their_work():
    names = ["u", "u_x", "u_y", "u_xx", "u_xxx", "u_xxy"]

    def all_of(x):
        return autodiff.derivatives(lambda x: jnp.exp(x @ W)[:, 0], x, names)

    visits = walk(jax.make_jaxpr(all_of)(X))
    primitives = [v.equation.primitive.name for v in visits if v.equation is not None]
    assert primitives.count("exp") == 1
    assert primitives.count("dot_general") == 3  # x W, and W along both directions.


def test_primitives_without_a_rule_are_told():
    f = lambda x: jnp.prod(jnp.sin(x), axis=1) + jnp.arctan2(x[:, 0], x[:, 1])
    found = autodiff.fallbacks(autodiff.bilaplacian, f, X)
    assert [part.primitive for part in found] == ["reduce_prod", "atan2"]
    assert all("test_taylor.py:" in part.line for part in found)
    assert [p.primitive for p in autodiff.fallbacks(autodiff.laplacian, f, X)] == ["reduce_prod"]
    assert autodiff.fallbacks(autodiff.partial, f, X, "x") == []
    solves = autodiff.fallbacks(autodiff.laplacian, jax.vmap(solved), X)
    assert "custom_linear_solve" in [part.primitive for part in solves]


def test_custom_vjp_is_an_error_with_its_line():
    f = jax.custom_vjp(jnp.sin)
    f.defvjp(lambda x: (jnp.sin(x), x), lambda x, t: (jnp.cos(x) * t,))
    with pytest.raises(TypeError, match=r"got the `custom_vjp` at .*test_taylor.py:\d+\. Give"):
        autodiff.bilaplacian(lambda x: 2.0 * f(x), X)


def test_number_of_products_of_a_high_order_stays_small():
    """Subsets of 20 places are a million, and divisions of them into blocks are 5e13."""
    assert len(parts_of([(0,) * 20])) == 20
    assert sum(splits((0,) * 20).values()) == 2**20
    assert len(partitions((0,) * 20)) == 627
    assert sum(partitions((0,) * 20).values()) == 51724158235372
