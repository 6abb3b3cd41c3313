"""A function whose reverse mode is a rule of its own, and whose forward mode is its own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.solve.rules._with_pullback import with_pullback
from tests.conftest import X64

pytestmark = pytest.mark.any_precision
DTYPE = jnp.float64 if X64 else jnp.float32
X, Y = jnp.asarray(0.7, DTYPE), jnp.asarray([0.4, 0.9], DTYPE)


def product(x, y, seen=None):
    """x sin(y), with the sum of y beside it; a cotangent by x is ten times what it should be."""

    def function(given):
        x, y = given
        return x * jnp.sin(y), jnp.sum(y)

    def kept(given):
        return *function(given), jnp.cos(given[1])

    def pull(given, cosine, cotangent, flags):
        if seen is not None:
            seen.append(flags)
        x, y = given
        return [10 * jnp.sum(cotangent * jnp.sin(y)), x * cotangent * cosine]

    return with_pullback(function, kept, pull, (x, y))


def total(x, y):
    return jnp.sum(product(x, y)[0])


def same(found, expected):
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_value_and_what_is_beside_it_are_those_of_the_function():
    same(product(X, Y), (X * jnp.sin(Y), jnp.sum(Y)))


def test_reverse_mode_is_the_rule():
    same(jax.grad(total, (0, 1))(X, Y), (10 * jnp.sum(jnp.sin(Y)), X * jnp.cos(Y)))


def test_forward_mode_is_that_of_the_function():
    tangents = jnp.ones_like(X), jnp.ones_like(Y)
    found = jax.jvp(total, (X, Y), tangents)[1]
    same(found, jnp.sum(jnp.sin(Y) + X * jnp.cos(Y)))


def test_forward_mode_is_that_of_another_function_if_there_is_one():
    pull = lambda given, kept, cotangent, flags: [cotangent]
    cubed = lambda x: with_pullback(
        lambda x: (x**3, ()), lambda x: (x**3, (), ()), pull, x, tangent=lambda x: 7 * x
    )[0]
    same(jax.jvp(cubed, (X,), (jnp.ones_like(X),)), (X**3, 7.0))


def test_what_is_beside_has_no_derivative():
    same(jax.grad(lambda y: product(X, y)[1])(Y), jnp.zeros_like(Y))


def test_rule_is_told_what_moves():
    seen = []
    jax.grad(lambda y: jnp.sum(product(X, y, seen)[0]))(Y)
    jax.grad(lambda x: jnp.sum(product(x, Y, seen)[0]))(X)
    assert seen == [[False, True], [True, False]]


@pytest.mark.parametrize(
    "outer", [jax.jacfwd, jax.jacrev], ids=["forward over reverse", "reverse over reverse"]
)
def test_derivatives_of_the_rule_are_those_of_jax(outer):
    """Of the gradient by x, which the rule makes 10 Σ sin(y), the derivative by y."""
    same(outer(lambda y: jax.grad(total)(X, y))(Y), 10 * jnp.cos(Y))


def test_reverse_over_forward_is_the_derivative_of_the_function():
    directional = lambda x: jax.jvp(lambda y: total(x, y), (Y,), (jnp.ones_like(Y),))[1]
    same(jax.grad(directional)(X), jnp.sum(jnp.cos(Y)))


def test_batch_of_gradients_is_the_gradients_of_a_batch():
    xs = jnp.stack([X, 2 * X, -X])
    expected = [jax.grad(total, (0, 1))(x, Y) for x in xs]
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *expected)
    same(jax.vmap(jax.grad(total, (0, 1)), (0, None))(xs, Y), expected)


def test_what_a_batch_shares_has_one_cotangent_the_sum():
    xs = jnp.stack([X, 2 * X, -X])
    of_batch = jax.grad(lambda y: jnp.sum(jax.vmap(total, (0, None))(xs, y)))(Y)
    same(of_batch, jnp.sum(xs) * jnp.cos(Y))


@pytest.mark.parametrize("loop", ["scan", "map", "checkpoint"])
def test_rule_is_kept_in_a_loop(loop):
    xs = jnp.stack([X, 2 * X])
    loops = {
        "scan": lambda x: jax.lax.scan(lambda c, x: (c + total(x, Y), ()), 0 * X, x)[0],
        "map": lambda x: jnp.sum(jax.lax.map(lambda x: total(x, Y), x)),
        "checkpoint": lambda x: sum(jax.checkpoint(total)(one, Y) for one in x),
    }
    same(jax.jit(jax.grad(loops[loop]))(xs), jnp.full(2, 10 * jnp.sum(jnp.sin(Y))))


def test_integers_are_given_and_have_no_cotangent():
    def function(given):
        count, y = given
        return y * count.astype(y.dtype), ()

    def kept(given):
        return *function(given), given[0]

    def pull(given, count, cotangent, flags):
        assert flags == [False, True]
        return [None, count.astype(cotangent.dtype) * cotangent]

    count = jnp.asarray(3, jnp.int32)
    found, pulled = jax.vjp(lambda *given: with_pullback(function, kept, pull, given)[0], count, Y)
    same(found, 3 * Y)
    by_count, by_y = pulled(jnp.ones_like(Y))
    assert by_count.dtype == jax.dtypes.float0
    same(by_y, jnp.full(2, 3.0))


def test_integers_kept_for_the_rule_pass_a_batch_and_a_second_derivative():
    def function(given):
        return given * given, jnp.argmax(given)

    def kept(given):
        value, place = function(given)
        return value, place, (given, place)

    def pull(given, kept, cotangent, flags):
        given, place = kept
        return [2 * given * cotangent + 0 * given[place]]

    square = lambda y: jnp.sum(with_pullback(function, kept, pull, y)[0])
    same(jax.vmap(jax.hessian(square))(jnp.stack([Y, 2 * Y])), jnp.stack([2 * jnp.eye(2)] * 2))


def test_cotangent_is_in_the_dtype_of_what_it_is_of():
    """One that the rule adds up in float32 is rounded once, at its end."""
    pull = lambda given, kept, cotangent, flags: [cotangent.astype(jnp.float32)]
    same_value = lambda x: (x, ())
    f = lambda x: with_pullback(same_value, lambda x: (x, (), ()), pull, x)[0]
    assert jax.grad(f)(jnp.asarray(1.0, jnp.float16)).dtype == jnp.float16


def test_cotangent_that_the_rule_leaves_out_is_zero():
    pull = lambda given, kept, cotangent, flags: [cotangent, None]
    first = lambda given: (given[0], ())
    f = lambda *given: with_pullback(first, lambda given: (given[0], (), ()), pull, given)[0]
    same(jax.grad(f, (0, 1))(X, Y), (1.0, jnp.zeros(2)))


def test_known_array_that_the_functions_close_over_is_a_constant_of_all_orders():
    pull = lambda given, kept, cotangent, flags: [kept * cotangent]
    value = lambda x: (Y * x, ())
    f = lambda x: jnp.sum(with_pullback(value, lambda x: (Y * x, (), Y * x), pull, x)[0])
    xs = jnp.stack([Y, 2 * Y])
    same(jax.jit(jax.vmap(jax.grad(f)))(xs), Y[None] * xs)
    same(jax.jit(jax.vmap(jax.hessian(f)))(xs), jnp.stack([jnp.diag(Y)] * 2))


def test_no_tracer_is_left_behind():
    with jax.checking_leaks():
        jax.jit(jax.grad(total, (0, 1)))(X, Y)
        jax.jit(jax.vmap(jax.grad(functools.partial(total, X))))(jnp.stack([Y, Y]))


def test_gradient_in_a_loop_is_compiled_once():
    gradient = jax.jit(jax.grad(total))
    for x in (X, 2 * X, 3 * X):
        gradient(x, Y)
    assert gradient._cache_size() == 1
