"""Which results of a program are a value that was there before."""

import jax
import jax.numpy as jnp
import pytest

from sciml_lux.programs import origins

pytestmark = pytest.mark.any_precision


def passes_on(f):
    """For each result of f(s, x), whether it is s."""
    program = jax.make_jaxpr(f)(jnp.float32(1), jnp.float32(2))
    return [origin is program.jaxpr.invars[0] for origin in origins(program)]


def in_jit(s, x):
    return jax.jit(lambda s, x: (s, x * 2))(s, x)


def in_remat(s, x):
    return jax.checkpoint(lambda s, x: (jax.lax.stop_gradient(s), x))(s, x)


def in_cond(s, x):
    return jax.lax.cond(x > 1, lambda: (s, x), lambda: (s, s))


def in_scan(s, x):
    (s, x), _ = jax.lax.scan(lambda c, _: ((c[0], c[1] + 1), None), (s, x), None, length=3)
    return s, x


def in_while(s, x):
    return jax.lax.while_loop(lambda c: c[1] < 3, lambda c: (c[0], c[1] + 1), (s, x))


def in_nested_calls(s, x):
    return jax.jit(lambda s, x: in_scan(*in_remat(s, x)))(s, x)


@pytest.mark.parametrize("f", [in_jit, in_remat, in_cond, in_scan, in_while, in_nested_calls])
def test_value_is_followed_through(f):
    assert passes_on(f) == [True, False]


def test_computed_value_is_another_though_its_number_be_the_same():
    swapped = lambda s, x: jax.lax.fori_loop(0, 2, lambda i, c: (c[1], c[0]), (s, x))
    assert passes_on(lambda s, x: (s + 0, s * 1, jnp.float32(1))) == [False] * 3
    assert passes_on(swapped) == [False, False]
    assert (
        passes_on(lambda s, x: jax.lax.cond(x > 1, lambda: (s, x), lambda: (x, s))) == [False] * 2
    )
