"""Values and tangents of `dynamic_scan` together in one scan, and where they part."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.solve import dynamic_scan
from tests.conftest import X64
from tests.ops.solve.loops.test_dynamic_scan import (
    DTYPE,
    INPUTS,
    ROWS,
    START,
    WEIGHT,
    close,
    scanned,
    written_out,
)

N = 4
pytestmark = pytest.mark.any_precision


def of_weight(weight):
    return scanned(jnp.int32(N), weight, INPUTS, START)


def plain(weight):
    return written_out(N, weight, INPUTS, START)


def scans_in(f, *args):
    """How often each kind of scan stands in the program."""
    program = str(jax.make_jaxpr(f)(*args))
    both = program.count("= dynamic_scan_jvp[")
    return both, program.count("= dynamic_scan[")


def test_forward_mode_is_one_scan_of_values_and_tangents():
    moved = functools.partial(jax.jvp, of_weight, (WEIGHT,), (WEIGHT,))
    assert scans_in(moved) == (1, 0)
    assert scans_in(jax.grad(of_weight), WEIGHT) == (0, 2)
    # Of the gradient too: no more scans than the gradient has.
    assert scans_in(lambda v: jax.jvp(jax.grad(of_weight), (WEIGHT,), (v,)), WEIGHT) == (2, 0)


def test_forward_mode_records_nothing():
    length = 1000
    rows = jnp.ones((length, 8), DTYPE)

    def total(weight, start):
        body = lambda w, row, carry: (jnp.sin(w @ carry + row), ())
        return jnp.sum(dynamic_scan(body, jnp.int32(9), weight, rows, start, length=length)[0])

    args = jnp.eye(8, dtype=DTYPE), jnp.ones(8, DTYPE)
    forward = jax.jit(lambda *args: jax.jvp(total, args, args)).lower(*args).compile()
    reverse = jax.jit(jax.grad(total, (0, 1))).lower(*args).compile()
    record = rows.nbytes
    assert forward.memory_analysis().temp_size_in_bytes < record / 4
    assert reverse.memory_analysis().temp_size_in_bytes > record


def product(f):
    return lambda w, v: jax.jvp(jax.grad(f), (w,), (v,))[1]


def twice(f, w):
    """Of a scan whose iterations each have a scan."""

    def iteration(carry, scale):
        carry = f(w * scale) + 0.1 * jnp.sin(carry)
        return carry, carry

    return jax.lax.scan(iteration, jnp.zeros((), DTYPE), jnp.asarray([1.0, 0.5], DTYPE))[1]


# Each parts the values from their tangents in another place of JAX.
PLACES = {
    "linearize": lambda f: lambda w, v: jax.linearize(f, w)[1](v),
    "linearize gradient": lambda f: lambda w, v: jax.linearize(jax.grad(f), w)[1](v),
    "inside jit": lambda f: lambda w, v: jax.grad(jax.jit(f))(w),
    "checkpoint": lambda f: lambda w, v: jax.grad(jax.checkpoint(f))(w),
    "checkpoint of a product": lambda f: (
        lambda w, v: jax.grad(jax.checkpoint(lambda w: jnp.sum(product(f)(w, v))))(w)
    ),
    "checkpoint that keeps all": lambda f: (
        lambda w, v: jax.grad(
            jax.checkpoint(f, policy=jax.checkpoint_policies.everything_saveable)
        )(w)
    ),
    "product of checkpoint": lambda f: product(jax.checkpoint(f)),
    "scan": lambda f: lambda w, v: jax.grad(lambda w: jnp.sum(twice(f, w)))(w),
    "product of scan": lambda f: product(lambda w: twice(f, w)[-1]),
    "cond": lambda f: lambda w, v: jax.grad(lambda w: jax.lax.cond(v[0, 0] > 9, jnp.sum, f, w))(w),
    "linear transpose": lambda f: (
        lambda w, v: jax.linear_transpose(lambda t: jax.jvp(f, (w,), (t,))[1], v)(f(w))[0]
    ),
    "linear transpose of a batch": lambda f: (
        lambda w, v: jax.linear_transpose(
            lambda t: jax.vmap(lambda w, t: jax.jvp(f, (w,), (t,))[1])(jnp.stack([w, v]), t),
            jnp.stack([v, w]),
        )(jnp.stack([f(w), f(v)]))[0]
    ),
    "batch of products": lambda f: (
        lambda w, v: jax.vmap(product(f), (0, None))(jnp.stack([w, v]), v)
    ),
    "batch of tangents": lambda f: (
        lambda w, v: jax.vmap(product(f), (None, 0))(w, jnp.stack([v, w]))
    ),
    "gradient of a batch of products": lambda f: (
        lambda w, v: jax.grad(
            lambda w: jnp.sum(jax.vmap(product(f), (None, 0))(w, jnp.stack([v, w])))
        )(w)
    ),
    "third forward": lambda f: lambda w, v: jax.jvp(lambda w: product(f)(w, v), (w,), (v,))[1],
}


@pytest.mark.parametrize("name", PLACES)
def test_derivatives_are_right_wherever_values_and_tangents_part(name):
    direction = jnp.asarray([[0.5, -1.0], [2.0, 0.3]], DTYPE)
    found, want = (jax.jit(PLACES[name](f))(WEIGHT, direction) for f in (of_weight, plain))
    close(found, want)


def test_batch_of_lengths_moves_together():
    n, starts = jnp.asarray([1, 5], jnp.int32), jnp.stack([START, 2 * START])

    def moved(scan, n, start):
        args = (WEIGHT, INPUTS, start)
        return jax.jvp(functools.partial(scan, n), args, args)

    found = jax.vmap(functools.partial(moved, scanned))
    assert scans_in(found, n, starts) == (1, 0)
    want = [moved(written_out, int(n[i]), starts[i]) for i in range(2)]
    close(jax.jit(found)(n, starts), jax.tree.map(lambda *leaves: jnp.stack(leaves), *want))


def test_values_that_are_not_batched_are_computed_once():
    def tangents(directions):
        return jax.vmap(lambda v: jax.jvp(of_weight, (WEIGHT,), (v,))[1])(directions)

    program = jax.make_jaxpr(tangents)(jnp.stack([WEIGHT] * 7))
    values, moved = (e for e in program.eqns if e.primitive.name == "dynamic_scan")
    assert all(7 not in v.aval.shape for v in values.outvars)
    assert any(7 in v.aval.shape for v in moved.outvars)


def test_integers_in_the_carry_and_among_rows_have_no_tangents():
    def counted(x):
        def body(_, row, carry):
            count, y = carry
            return (count + row, y * x + count.astype(DTYPE)), count

        rows, start = jnp.arange(ROWS, dtype=jnp.int32), (jnp.int32(1), x)
        (count, y), counts = dynamic_scan(body, jnp.int32(N), (), rows, start, length=ROWS)
        return y + (count + jnp.sum(counts, dtype=jnp.int32)).astype(DTYPE)

    x = jnp.asarray(1.5, DTYPE)
    value, slope = jax.jit(lambda x: jax.jvp(counted, (x,), (jnp.ones_like(x),)))(x)
    step = 1e-6 if X64 else 1e-2
    np.testing.assert_allclose(
        slope, (counted(x + step) - counted(x - step)) / (2 * step), rtol=1e-3
    )
    assert value == counted(x) and slope == jax.grad(counted)(x)
