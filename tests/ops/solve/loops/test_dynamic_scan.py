"""dynamic_scan against the same loop written out, in every nesting of derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.solve import dynamic_scan
from sciml_lux.ops.solve.loops._dynamic_scan import linear_scan
from tests.conftest import X64

any_precision = pytest.mark.any_precision

ROWS = 6
DTYPE = jnp.float64 if X64 else jnp.float32
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12} if X64 else {"rtol": 2e-4, "atol": 2e-4}
ORDER = jnp.asarray([3, 1, 0, 2, 5, 4], jnp.int32)


def drawn(i, *shape):
    return jax.random.normal(jax.random.key(i), shape, DTYPE)


WEIGHT, INPUTS, START = drawn(0, 2, 2), drawn(1, ROWS, 2), drawn(2, 2)
FACTORS = jnp.arange(1.0, ROWS + 1, dtype=DTYPE)


def body(weight, row, carry):
    carry = jnp.sin(weight @ carry + row)
    return carry, jnp.sum(carry)


def scanned(n, weight, inputs, start):
    last, rows = dynamic_scan(body, n, weight, inputs, start, length=ROWS)
    return jnp.sum(last**2) + jnp.sum(FACTORS * rows**3)


def scanned_in_order(n, weight, inputs, start, order=ORDER):
    last, rows = linear_scan(
        lambda weight, row, carry, _: body(weight, row, carry),
        n, weight, inputs, start, (), length=ROWS, order=order,
    )  # fmt: skip
    return jnp.sum(last**2) + jnp.sum(FACTORS * rows**3)


def written_out(n, weight, inputs, start, order=range(ROWS)):
    total = 0.0
    for i in list(order)[:n]:
        start, row = body(weight, inputs[i], start)
        total = total + FACTORS[i] * row**3
    return jnp.sum(start**2) + total


def close(found, want):
    jax.tree.map(functools.partial(np.testing.assert_allclose, **TOLERANCE), found, want)


@any_precision
@pytest.mark.parametrize("n", [0, 1, 4, ROWS])
def test_values_and_gradients_are_those_of_the_loop(n):
    args = (WEIGHT, INPUTS, START)
    found = jax.jit(jax.value_and_grad(scanned, (1, 2, 3)))(jnp.int32(n), *args)
    close(found, jax.value_and_grad(written_out, (1, 2, 3))(n, *args))


@any_precision
@pytest.mark.parametrize(
    "twice",
    [
        lambda f: jax.jacfwd(jax.jacfwd(f)),
        lambda f: jax.jacfwd(jax.grad(f)),
        lambda f: jax.grad(lambda x: jnp.sum(jax.jacfwd(f)(x) ** 2)),
        lambda f: jax.jacrev(jax.grad(f)),
        lambda f: jax.grad(lambda x: jnp.sum(jax.grad(lambda x: jnp.sum(jax.grad(f)(x) ** 2))(x))),
    ],
    ids=["forward-forward", "forward-reverse", "reverse-forward", "reverse-reverse", "three"],
)
def test_nested_derivatives_are_those_of_the_loop(twice):
    found = jax.jit(twice(lambda w: scanned(jnp.int32(4), w, INPUTS, START)))(WEIGHT)
    close(found, jax.jit(twice(lambda w: written_out(4, w, INPUTS, START)))(WEIGHT))


def test_rows_in_another_order():
    args = (WEIGHT, INPUTS, START)
    found = jax.jit(jax.value_and_grad(scanned_in_order, (1, 2, 3)))(jnp.int32(4), *args)
    want = jax.value_and_grad(functools.partial(written_out, order=ORDER.tolist()), (1, 2, 3))
    close(found, want(4, *args))


@any_precision
@pytest.mark.parametrize("scan, order", [(scanned, range(ROWS)), (scanned_in_order, ORDER)])
def test_batch_of_lengths(scan, order):
    n, starts = jnp.asarray([1, 5], jnp.int32), jnp.stack([START, 2 * START])
    gradient = jax.vmap(jax.grad(scan, (1, 2, 3)), (0, None, None, 0))
    found = jax.jit(gradient)(n, WEIGHT, INPUTS, starts)
    one = jax.grad(functools.partial(written_out, order=[int(i) for i in order]), (1, 2, 3))
    want = [one(int(n[i]), WEIGHT, INPUTS, starts[i]) for i in range(2)]
    close(found, jax.tree.map(lambda *leaves: jnp.stack(leaves), *want))


def test_what_waits_is_not_evaluated_where_it_is_not_defined():
    # 1 / row is infinite for the rows of zeros that a shorter scan does not use.
    def total(n, rows, start):
        out, _ = dynamic_scan(lambda _, r, k: (k / r, ()), n, (), rows, start, length=3)
        return out

    rows = jnp.asarray([[2.0, 0.0, 0.0], [2.0, 4.0, 8.0]], DTYPE)
    gradient = jax.jit(jax.vmap(jax.grad(total, (1, 2))))
    by_rows, by_start = gradient(jnp.asarray([1, 3], jnp.int32), rows, jnp.ones(2, DTYPE))
    np.testing.assert_allclose(by_start, [1 / 2, 1 / 64], rtol=1e-6)
    np.testing.assert_allclose(by_rows[0], [-1 / 4, 0, 0], rtol=1e-6)


def test_constant_that_is_not_batched_stays_so():
    batched = jax.vmap(lambda start: scanned(jnp.int32(3), WEIGHT, INPUTS, start))
    program = str(jax.make_jaxpr(batched)(jnp.stack([START] * 7)))
    assert "dynamic_scan" in program and f"[7,{ROWS},2]" not in program and "[7,2,2]" not in program


@any_precision
def test_batch_of_orders():
    orders = jnp.stack([ORDER, ORDER[::-1], jnp.zeros_like(ORDER)])
    numbers = jnp.asarray([4, ROWS, 0], jnp.int32)
    inputs = jnp.stack([INPUTS, 2 * INPUTS, INPUTS])
    gradient = jax.value_and_grad(scanned_in_order, (1, 2, 3))
    axes = (0, None, 0, None, 0)
    found = jax.jit(jax.vmap(gradient, axes))(numbers, WEIGHT, inputs, START, orders)
    for i, number in enumerate(numbers.tolist()):
        one = functools.partial(written_out, order=orders[i].tolist())
        want = jax.value_and_grad(one, (1, 2, 3))(number, WEIGHT, inputs[i], START)
        close(jax.tree.map(lambda x, i=i: x[i], found), want)


def test_array_closed_over_has_its_gradient():
    def total(weight):
        f = lambda _, row, carry: (jnp.sin(weight @ carry + row), ())
        return jnp.sum(dynamic_scan(f, jnp.int32(3), (), INPUTS, START, length=ROWS)[0])

    def want(weight):
        y = START
        for i in range(3):
            y = jnp.sin(weight @ y + INPUTS[i])
        return jnp.sum(y)

    close(jax.jit(jax.grad(total))(WEIGHT), jax.grad(want)(WEIGHT))


def linear_in_carry(weight, inputs, moved):
    """A linear scan whose carry has what every iteration reads, handed on."""

    def tangent(weight, row, carry, _):
        moved, total = carry
        _, change = jax.jvp(lambda w: jnp.sin(w @ row), (weight,), (moved,))
        return (moved, jnp.cos(row) * total + change), ()

    (_, total), _ = linear_scan(
        tangent, jnp.int32(4), weight, inputs, (moved, START), (), length=ROWS
    )
    return total


def test_carry_that_is_handed_on_is_neither_recorded_nor_batched():
    def loss(weight, moved):
        return jnp.sum(linear_in_carry(weight, INPUTS, moved) ** 2)

    gradient = jax.grad(lambda w: jnp.sum(jax.grad(loss, 1)(w, 2 * w) ** 2))
    program = str(jax.make_jaxpr(gradient)(WEIGHT))
    assert f"[{ROWS},2,2]" not in program
    batched = jax.vmap(lambda inputs: linear_in_carry(WEIGHT, inputs, 2 * WEIGHT))
    program = str(jax.make_jaxpr(batched)(jnp.stack([INPUTS] * 7)))
    assert "[7,2]" in program and "[7,2,2]" not in program


@any_precision
def test_carry_that_is_handed_on_has_every_derivative():
    def want(weight, inputs, moved):
        total = START
        for row in inputs[:4]:
            change = jnp.cos(weight @ row) * (moved @ row)
            total = jnp.cos(row) * total + change
        return total

    def twice(f):
        loss = lambda w, m: jnp.sum(jnp.sin(f(w, INPUTS, m)))
        return jax.jit(jax.jacfwd(lambda w: jax.grad(loss, (0, 1))(w, w**2)))

    close(twice(linear_in_carry)(WEIGHT), twice(want)(WEIGHT))

    def of_batch(f):
        batch = jnp.stack([INPUTS, 2 * INPUTS])
        return jax.grad(lambda m: jnp.sum(jax.vmap(lambda x: f(WEIGHT, x, m))(batch) ** 2))(WEIGHT)

    close(of_batch(linear_in_carry), of_batch(want))


def test_integer_carry_has_no_tangent():
    def total(weight):
        f = lambda weight, row, carry: ((carry[0] + 1, jnp.sin(weight @ carry[1]) + row), carry[0])
        (count, last), numbers = dynamic_scan(
            f, jnp.int32(3), weight, INPUTS, (jnp.int32(0), START), length=ROWS
        )
        return jnp.sum(last) * count.astype(DTYPE), numbers

    def want(weight):
        y = START
        for i in range(3):
            y = jnp.sin(weight @ y) + INPUTS[i]
        return 3 * jnp.sum(y)

    found, numbers = jax.jit(jax.grad(total, has_aux=True))(WEIGHT)
    close(found, jax.grad(want)(WEIGHT))
    assert numbers.tolist() == [0, 1, 2, 0, 0, 0]
