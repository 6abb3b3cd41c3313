"""A function with a rule of its own has it in every order, also inside loops of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.solve import solve, tableaus
from sciml_lux.ops.solve.rules._own_derivative import with_own_derivative
from tests.conftest import X64, needs_x64

DTYPE = jnp.float64 if X64 else jnp.float32
X = jnp.asarray([0.3, 0.5], DTYPE)


def stretched(x):
    """sin and cos of x, where a derivative by x is one by 10 x: not that of what is computed."""

    def rule(operands, tangents):
        sine, cosine = stretched(operands[0])
        [dx] = tangents
        if dx is None:
            return [sine, cosine], [None, None]
        return [sine, cosine], [10 * cosine * dx, -10 * sine * dx]

    return with_own_derivative(lambda x: (jnp.sin(x), jnp.cos(x)), rule, x)


def sine(x):
    return stretched(x)[0]


LOOPS = {
    "none": sine,
    "jit": jax.jit(sine),
    "vmap": jax.vmap(sine),
    "map": lambda x: jax.lax.map(sine, x),
    "scan of vmap": lambda x: jax.lax.scan(lambda k, _: (k, jax.vmap(sine)(k)), x, length=1)[1][0],
    "checkpoint": jax.checkpoint(sine),
}
NESTINGS = {
    "forward over forward": lambda f: jax.jacfwd(jax.jacfwd(f)),
    "forward over reverse": jax.hessian,
    "reverse over forward": lambda f: jax.jacrev(jax.jacfwd(f)),
    "reverse over reverse": lambda f: jax.jacrev(jax.jacrev(f)),
}


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("loop", LOOPS)
def test_rule_is_kept(loop, nesting):
    second = NESTINGS[nesting](lambda x: jnp.sum(LOOPS[loop](x)))(X)
    np.testing.assert_allclose(np.diag(second), -100 * np.sin(X), rtol=1e-6)
    np.testing.assert_array_equal(second - np.diag(np.diag(second)), 0.0)


def test_third_derivative_in_a_loop():
    third = jax.jacfwd(jax.hessian(lambda x: jax.lax.map(sine, x)[0]))(X)
    np.testing.assert_allclose(third[0, 0, 0], -1000 * np.cos(X[0]), rtol=1e-6)


@needs_x64
@pytest.mark.parametrize("nesting", ["forward over reverse", "reverse over reverse"])
def test_solves_in_a_loop_have_the_second_derivatives_of_solves_side_by_side(nesting):
    def end(rate):
        pendulum = lambda t, y, p: jnp.stack([y[1], -p * jnp.sin(y[0])])
        options = {"tableau": tableaus.BOSH3, "rtol": 1e-4, "atol": 1e-4, "max_steps": 32}
        return solve(pendulum, 0.0 * rate, 1.0 + 0.0 * rate, jnp.ones(2), rate, **options).y1[0]

    def second(mapped):
        return jax.jit(NESTINGS[nesting](lambda rates: jnp.sum(mapped(end, rates))))(X)

    found, want = second(jax.lax.map), second(lambda f, x: jax.vmap(f)(x))
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-14)
