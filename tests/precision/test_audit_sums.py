"""The audit of sums in half precision: wrong ones are told where they stand, right ones are not."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sciml_lux.precision import assert_no_narrowing, audit

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
FILE = os.path.relpath(__file__)
with open(__file__) as file:
    SOURCE = file.read().splitlines()
F32 = jnp.float32
PLACES = jnp.zeros(50, jnp.int32)
ALL = ("value", "gradient", "jvp")


def line_of(name):
    return [f"{FILE}:{i}" for i, text in enumerate(SOURCE, 1) if text.endswith(f"# {name}")]


# Wrong: the sum is in half precision.


def broadcast(x, b):
    return x + jnp.broadcast_to(b, x.shape)  # broadcast


def gathered(x, b):
    return b[PLACES]  # gathered


def closed_over(x, b):
    step = lambda h, row: (jnp.tanh(h * b + row), h)  # closed_over
    return lax.scan(step, x[0], x)[1]


def reduced(x, b):
    return lax.reduce_sum(x, (0,))  # reduced


def cumulative(x, b):
    return jnp.cumsum(x, 0)  # cumulative


def scattered(x, b):
    return b.at[jnp.array([0, 0, 1])].add(x[0])  # scattered


def windowed(x, b):
    zero = np.zeros((), x.dtype)
    return lax.reduce_window(x, zero, lax.add, (4, 1), (4, 1), "VALID")  # windowed


def reduced_from_a_start(x, b):
    return lax.reduce(x, b[0], lax.add, (0,))  # reduced_from_a_start


def carried(x, b):
    return lax.scan(lambda total, row: (total + row, None), b, x)[0]  # carried


def carried_in_a_call(x, b):
    add = jax.jit(lambda total, row: jnp.where(row > 0, total - row, total))  # carried_in_a_call
    return lax.scan(lambda total, row: (add(total, row), None), b, x)[0]


def rounded_at_each_step(x, b):
    step = lambda total, row: (total.astype(F32) + row.astype(F32)).astype(x.dtype)
    return lax.scan(lambda total, row: (step(total, row), None), b, x)[0]


def looped(x, b):
    return lax.fori_loop(0, jnp.argmax(b) + 5, lambda i, total: total + x[i], b)  # looped


def scattered_by_a_loop(x, b):
    step = lambda total, row: (total.at[0].add(row[0]), None)  # scattered_by_a_loop
    return lax.scan(step, b, x)[0]


def product(x, b):
    kind = lax.DotAlgorithm(x.dtype, x.dtype, x.dtype)
    return lax.dot(x.T, x, precision=kind)  # product


WRONG = [
    (broadcast, "gradient", "reduce_sum of 20 terms in {}", ""),
    (gathered, "gradient", "scatter-add of 50 terms in {}", ""),
    (closed_over, "gradient", "scan carry of {} that is added to", "scan"),
    (reduced, "value", "reduce_sum of 20 terms in {}", ""),
    (cumulative, "value", "cumsum of 20 terms in {}", "jit(cumsum)"),
    (scattered, "value", "scatter-add of 3 terms in {}", ""),
    (windowed, "value", "reduce_window_sum of 4 terms in {}", ""),
    (reduced_from_a_start, "value", "reduce of 20 terms in {}", ""),
    (carried, "value", "scan carry of {} that is added to", "scan"),
    (carried_in_a_call, "value", "scan carry of {} that is added to", "scan/jit"),
    (looped, "value", "while carry of {} that is added to", "while"),
    (scattered_by_a_loop, "value", "scan carry of {} that is added to", "scan"),
    (product, "value", "dot_general of 20 terms in {}", ""),
]


def arrays(dtype):
    return jax.ShapeDtypeStruct((20, 3), dtype), jax.ShapeDtypeStruct((3,), dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("f", "program", "detail", "path"), WRONG)
def test_sum_in_half_precision_is_told(f, program, detail, path, dtype):
    report = audit(f, *arrays(dtype), grads=1)
    told = {(g.program, g.detail, g.path): g.line for g in report.findings}
    assert {g.kind for g in report.findings} == {"accumulation"}, report
    assert told[program, detail.format(dtype), path] in line_of(f.__name__), report
    programs = {g.program for g in report.findings}
    assert ("value" in programs) == (program == "value")
    with pytest.raises(AssertionError, match="accumulation"):
        assert_no_narrowing(f, *arrays(dtype))


def test_rounding_at_each_step_of_a_loop_is_a_sum_in_half_precision():
    report = audit(rounded_at_each_step, *arrays("bfloat16"))
    assert [g.detail for g in report.failures] == ["scan carry of bfloat16 that is added to"]


# Right: it is in float32, or there is no sum.


def broadcast_wide(x, b):
    return x + jnp.broadcast_to(b.astype(F32), x.shape).astype(x.dtype)


def added_wide(x, b):
    return (x.astype(F32) + b.astype(F32)[None]).astype(x.dtype)


def scaled_wide(x, b):
    return (x.astype(F32) * b.astype(F32)[None]).astype(x.dtype)


def gathered_wide(x, b):
    return jax.jit(lambda b: b.astype(F32)[PLACES])(b).astype(b.dtype)


def closed_over_wide(x, b):
    wide = b.astype(F32)
    step = lambda h, row: (jnp.tanh(h * wide.astype(x.dtype) + row), h)
    return lax.scan(jax.checkpoint(step), x[0], x)[1]


def branched_wide(x, b):
    wide = b.astype(F32)
    kept = lambda b: jnp.broadcast_to(b, x.shape)
    return x + lax.cond(x[0, 0] > 0, kept, lambda b: -kept(b), wide).astype(x.dtype)


def carried_wide(x, b):
    step = lambda total, row: (total + row.astype(F32), None)
    return lax.scan(step, b.astype(F32), x)[0].astype(x.dtype)


def summed(x, b):
    return jnp.sum(x, 0) + b, jnp.mean(x), jnp.sum(x * x)


def recurrence(x, b):
    step = lambda h, row: (h + jnp.tanh(h) * row, None)
    return lax.scan(step, x[0], x)[0]


def one_term(x, b):
    return lax.reduce_sum(x[:1], (0,)) + b.at[1].add(x[0, 0])


def largest(x, b):
    low = np.asarray(-np.inf, F32)
    wide = lax.reduce_window(x.astype(F32), low, lax.max, (2, 1), (1, 1), "VALID")
    return wide.astype(x.dtype), b


def selected(x, b):
    wide = x.astype(F32)
    return jnp.where(wide[1:] <= wide[:-1], wide[:-1], wide[1:]).astype(x.dtype), b


def plain_product(x, b):
    return x.T @ x


RIGHT = [broadcast_wide, added_wide, scaled_wide, gathered_wide, closed_over_wide, branched_wide]
RIGHT += [carried_wide, summed, recurrence, one_term, plain_product, largest, selected]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("f", RIGHT)
def test_sum_in_float32_is_clean(f, dtype):
    uses_b = f not in (recurrence, plain_product)
    x, b = arrays(dtype)
    assert (
        audit(lambda *args: f(*args, *[b] * (not uses_b)), *[x, b][: 1 + uses_b], grads=1).findings
        == ()
    )


def test_narrowing_is_told_where_more_than_half_precision_goes_in():
    x, b = arrays(F32)[0], arrays("bfloat16")[1]
    f = lambda x, b: (x + b.astype(F32)[None]).astype(jnp.bfloat16)
    assert "float32 -> bfloat16" in {g.detail for g in audit(f, x, b).failures}


def test_half_precision_that_ends_in_the_other_is_told():
    f = lambda x, b: b.astype(F32).astype(jnp.float16)
    report = audit(f, *arrays("bfloat16"))
    assert ("narrowing", "float32 -> float16") in {(g.kind, g.detail) for g in report.failures}


def test_widening_that_stays_wide_is_told():
    report = audit(lambda x, b: jnp.broadcast_to(b.astype(F32), (4, 3)), *arrays("bfloat16"))
    assert [g.detail for g in report.findings] == ["bfloat16 -> float32"]
