"""A function with a kernel has the value, batches and derivatives of the plain function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.kernels import with_kernel
from tests.conftest import X64

from .recurrence import (
    Forward,
    differentiable,
    linear,
    plain,
    plain_linear,
    recurrence,
)

DTYPE = jnp.float64 if X64 else jnp.float32
TOLERANCE = 1e-14 if X64 else 1e-6
X = jnp.asarray([[0.3, -0.5, 0.1], [2.0, 1.0, -1.0]], DTYPE)
RATES = jnp.asarray([0.7, 1.1, -0.4], DTYPE)
PUSH = jnp.asarray([0.5, -1.0, 0.25], DTYPE)
COUNTS = jnp.arange(3, dtype=jnp.int32)
START = jnp.asarray(4, jnp.int32)
ONE = (X[0, 0], RATES[0], PUSH, START)


def equal(found, want):
    found, want = jax.tree.leaves(found), jax.tree.leaves(want)
    for y, z in zip(found, want, strict=True):
        assert y.dtype == z.dtype
        np.testing.assert_allclose(y, z, rtol=TOLERANCE, atol=TOLERANCE)


def within(loop):
    """The end of the path, taken on for some times."""

    def f(one):
        def once(x):
            return one(jnp.sin(x), *ONE[1:])[0][-1]

        if loop == "scan":
            return lambda x: jax.lax.scan(lambda x, _: 2 * (once(x),), x, length=2)
        if loop == "map":
            return lambda x: jax.lax.map(once, x * PUSH)
        if loop == "while":
            return lambda x: jax.lax.while_loop(lambda x: x < 1, lambda x: once(x) + 1, x)
        return lambda x: jax.lax.cond(x > 0, once, lambda x: x, x)

    return f


VALUES = {
    "eager": lambda f: f(*ONE),
    "jit": lambda f: jax.jit(f)(*ONE),
    "vmap of all": lambda f: jax.vmap(f)(
        X[0], RATES, jnp.outer(RATES, PUSH), jnp.arange(3, dtype=jnp.int32)
    ),
    "vmap of the second axis": lambda f: jax.vmap(f, (None, None, 1, None), [1, 0])(
        *ONE[:2], jnp.outer(PUSH, RATES), START
    ),
    "vmap of vmap": lambda f: jax.vmap(jax.vmap(f, (0, None, None, None)), (0, 0, None, None))(
        X, RATES[:2], PUSH, START
    ),
    "vmap of vmap, shared by neither": lambda f: jax.vmap(
        jax.vmap(f, (0, None, None, None)), (None, 0, None, None)
    )(X[0], RATES[:2], PUSH, START),
    "vmap of what is a result alone": lambda f: jax.vmap(lambda s: f(*ONE[:3], s)[1])(COUNTS),
    "an empty batch": lambda f: jax.vmap(f, (0, None, None, None))(X[0, :0], *ONE[1:]),
    "scan": lambda f: within("scan")(f)(X[0, 0]),
    "while of vmap": lambda f: jax.vmap(within("while")(f))(X[0]),
    "cond": lambda f: within("cond")(f)(X[0, 0]),
}


@pytest.mark.parametrize("case", VALUES)
def test_values(case):
    equal(jax.jit(lambda: VALUES[case](recurrence))(), jax.jit(lambda: VALUES[case](plain))())


def ends(f):
    """A scalar of x, the rate and the pushes, for a batch that shares the pushes."""

    def scalar(x, rate, push):
        path, _ = jax.vmap(f, (0, None, None, None))(x, rate, push, START)
        return jnp.sum(path[:, 1:] ** 3)

    return scalar


GIVEN = (X[0], RATES[1], PUSH)


def weighted(f):
    """The end of the path times a number that has no derivative."""

    def scalar(x):
        path, above = f(x, *ONE[1:])
        return path[-1] * (above + 1).astype(path.dtype)

    return scalar


DERIVATIVES = {
    "jvp with an integer": lambda f: jax.jvp(weighted(f), (X[0, 0],), (X[0, 1],)),
    "jvp": lambda f: jax.jvp(ends(f), GIVEN, GIVEN),
    "jvp by some": lambda f: jax.jvp(lambda x: ends(f)(x, *GIVEN[1:]), GIVEN[:1], GIVEN[:1]),
    "linearize": lambda f: jax.linearize(ends(f), *GIVEN)[1](*GIVEN),
    "jacobian by forward mode": lambda f: jax.jacfwd(ends(f), (0, 1, 2))(*GIVEN),
    "grad": lambda f: jax.grad(ends(f), (0, 1, 2))(*GIVEN),
    "hessian": lambda f: jax.hessian(ends(f), (0, 1))(*GIVEN),
    "grad of checkpoint": lambda f: jax.grad(jax.checkpoint(ends(f)), (0, 2))(*GIVEN),
    "grad of scan": lambda f: jax.grad(lambda x: within("scan")(f)(x)[0])(X[0, 0]),
    "grad of map": lambda f: jax.grad(lambda x: within("map")(f)(x).sum())(X[0, 0]),
}


@pytest.mark.parametrize("case", DERIVATIVES)
def test_derivatives_are_those_of_the_plain_function(case):
    found, want = (jax.jit(lambda f=f: DERIVATIVES[case](f))() for f in (recurrence, plain))
    equal(found, want)


def by_x_and_push(f):
    return lambda x, push: ends(f)(x, RATES[1], push)


MOVED = (X[0], PUSH)
OWN = {
    "grad": lambda f: jax.grad(by_x_and_push(f), (0, 1))(*MOVED),
    "grad by one": lambda f: jax.grad(by_x_and_push(f), 1)(*MOVED),
    "vmap of grad": lambda f: jax.vmap(jax.grad(by_x_and_push(f), (0, 1)), (0, None))(X, PUSH),
    "jacobian by reverse mode": lambda f: jax.jacrev(
        lambda push: jax.vmap(f, (0, None, None, None))(X[0], RATES[1], push, START)[0]
    )(PUSH),
    "forward over reverse": lambda f: jax.hessian(by_x_and_push(f), (0, 1))(*MOVED),
    "reverse over forward": lambda f: jax.jacrev(jax.jacfwd(by_x_and_push(f), 1), 0)(*MOVED),
    "reverse over reverse": lambda f: jax.jacrev(jax.jacrev(by_x_and_push(f), 1), 0)(*MOVED),
    "grad of checkpoint": lambda f: jax.grad(jax.checkpoint(by_x_and_push(f)))(*MOVED),
    "grad of scan": lambda f: jax.grad(lambda x: within("scan")(f)(x)[1].sum())(X[0, 0]),
    "grad of cond": lambda f: jax.grad(within("cond")(f))(X[0, 0]),
    "linearize": lambda f: jax.linearize(by_x_and_push(f), *MOVED)[1](*MOVED),
}


@pytest.mark.parametrize("case", OWN)
def test_derivatives_by_a_linear_function_with_a_kernel(case):
    found, want = (jax.jit(lambda f=f: OWN[case](f))() for f in (differentiable, plain))
    equal(found, want)


LINEAR = {
    "value": lambda f: f([RATES[0]], [X[0, 0], PUSH]),
    "vmap": lambda f: jax.vmap(lambda r, x: f([r], [x, PUSH]))(RATES, X[0]),
    "transpose": lambda f: jax.linear_transpose(
        jax.vmap(lambda x: f([RATES[0]], [x, 0 * PUSH])), X[0]
    )([jnp.outer(RATES, PUSH)]),
    "transpose, shared": lambda f: jax.linear_transpose(
        lambda push: jax.vmap(lambda r: f([r], [push[0], push]))(RATES), PUSH
    )([jnp.outer(RATES, PUSH)]),
    "derivative by the residual": lambda f: jax.hessian(lambda r: f([r], [X[0, 0], PUSH])[0].sum())(
        RATES[0]
    ),
}


@pytest.mark.parametrize("case", LINEAR)
def test_linear_function(case):
    found, want = (jax.jit(lambda f=f: LINEAR[case](f))() for f in (linear, plain_linear))
    equal(found, want)


def test_nothing_leaks():
    with jax.checking_leaks():
        jax.jit(jax.grad(by_x_and_push(differentiable), (0, 1)))(*MOVED)


def test_without_jit():
    with jax.disable_jit():
        equal(recurrence(*ONE), plain(*ONE))


def test_function_that_closes_over_a_traced_array_is_an_error():
    def f(x):
        kernel = Forward(DTYPE.__name__)
        return with_kernel(lambda *rest: plain(x, *rest), kernel, *ONE[1:])

    with pytest.raises(TypeError, match=r"expects all its arrays as operands, got one .* Make it"):
        jax.jit(f)(X[0, 0])
