"""A test of the auditor itself: bugs planted on purpose, each to be found where it stands."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import equinox as eqx
import equinox.internal
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import lax
from jax.experimental import io_callback
from jax.experimental import pallas as pl
from jax.extend.core import Primitive

from sciml_lux.precision import audit
from tests.conftest import needs_x64

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
F32, F64, BF16 = jnp.float32, jnp.float64, jnp.bfloat16
FILE = os.path.relpath(__file__)
with open(__file__) as file:
    SOURCE = file.read().splitlines()


@dataclasses.dataclass(frozen=True)
class Plant:
    """A function with a bug on the line that ends in `# plant: name`, and what is to be found."""

    name: str
    function: Callable[..., Any]
    args: tuple[str, ...]
    path: str
    kind: str
    detail: str
    grads: int
    program: str

    @property
    def lines(self) -> list[str]:
        end = f"# plant: {self.name}"
        return [f"{FILE}:{i}" for i, text in enumerate(SOURCE, 1) if text.endswith(end)]


PLANTS: list[Plant] = []
CAST = ("narrowing", "float64 -> float32")
INTEGER = ("integer to float", "int32 -> float32")
LOW = ("low precision", "float32")


def plant(name, function, *args, path="", finds=CAST, grads=0, program="value"):
    entry = Plant(name, function, args or ("float64",), path, *finds, grads, program)
    PLANTS.append(entry)


def example(dtype):
    if dtype == "key":
        return jax.random.key(0)
    return jax.ShapeDtypeStruct((3, 3), dtype)


# Casts, and the programs they hide in.

plant("top", lambda x: x.astype(F32).astype(F64))  # plant: top
plant("vmap", jax.vmap(lambda row: row.astype(F32).astype(F64)))  # plant: vmap
plant("jit", lambda x: jax.jit(lambda y: y.astype(F32))(x).astype(F64), path="jit")  # plant: jit

in_map = lambda row: row.astype(F32).astype(F64)  # plant: map
plant("map", lambda x: lax.map(in_map, x), path="scan")

in_scan = lambda total, row: (total + row.astype(F32).astype(F64), None)  # plant: scan
plant("scan", lambda x: lax.scan(in_scan, x[0], x)[0], path="scan")

in_reversed = lambda total, row: (total * row.astype(F32).astype(F64), None)  # plant: reversed scan
scan_reversed = lambda x: lax.scan(in_reversed, x[0], x)[0]
plant("reversed scan", scan_reversed, path="scan", grads=1, program="gradient")

in_body = lambda x: x.astype(F32).astype(F64)  # plant: while body
plant("while body", lambda x: lax.while_loop(lambda x: x[0, 0] < 3, in_body, x), path="while")

in_condition = lambda x: x[0, 0].astype(F32) < 3  # plant: while condition
plant("while condition", lambda x: lax.while_loop(in_condition, jnp.cosh, x), path="while")

in_fori = lambda i, x: x.astype(F32).astype(F64)  # plant: fori
plant("fori", lambda x: lax.fori_loop(0, 3, in_fori, x), path="scan")

in_long = lambda i, x: x.astype(F32).astype(F64)  # plant: fori of unknown length
fori_unknown = lambda x, n: lax.fori_loop(0, n[0, 0], in_long, x)
plant("fori of unknown length", fori_unknown, "float64", "int32", path="while")

in_true = lambda x: x.astype(F32).astype(F64)  # plant: cond true
plant("cond true", lambda x: lax.cond(x[0, 0] > 0, in_true, jnp.sin, x), path="cond")

in_false = lambda x: x.astype(F32).astype(F64)  # plant: cond false
plant("cond false", lambda x: lax.cond(x[0, 0] > 0, jnp.sin, in_false, x), path="cond")

in_switch = lambda x: x.astype(F32).astype(F64)  # plant: switch
switch = lambda x, n: lax.switch(n[0, 0], [jnp.sin, jnp.cos, in_switch], x)
plant("switch", switch, "float64", "int32", path="cond")

in_remat = jax.checkpoint(lambda x: jnp.sin(x.astype(F32).astype(F64)))  # plant: remat
plant("remat", in_remat, path="remat")

in_back = jax.checkpoint(lambda x: jnp.sin(x.astype(F32).astype(F64)))  # plant: transposed remat
plant("transposed remat", in_back, path="remat", grads=1, program="gradient")

in_solve = lambda v: v.astype(F32).astype(F64)  # plant: linear solve
solve = lambda x: lax.custom_linear_solve(in_solve, x[0], lambda _, b: b, symmetric=True)
plant("linear solve", solve, path="custom_linear_solve")


@jax.jit
def deep(row):
    return row.astype(F32).astype(F64)  # plant: nested


def nested(x):
    body = lambda x: lax.scan(lambda total, row: (total + deep(row), row), x[0], x)[1]
    return lax.while_loop(lambda x: x[0, 0] < 3, body, x)


plant("nested", nested, path="while/scan/jit(deep)")


def kernel(x_ref, y_ref):
    y_ref[...] = x_ref[...].astype(F32).astype(F64)  # plant: kernel


called = lambda x: pl.pallas_call(kernel, out_shape=jax.typeof(x), interpret=True)(x)
plant("kernel", called, path="pallas_call")

# Rules of derivatives, which the value's program does not show.


@jax.custom_jvp
def sine(x):
    return jnp.sin(x)


@sine.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return sine(x), jnp.cos(x).astype(F32).astype(F64) * t  # plant: custom_jvp


plant("custom_jvp", sine, grads=1, program="jvp")


@jax.custom_jvp
def cosine(x):
    return jnp.cos(x)


@cosine.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return cosine(x), -jnp.sin(x).astype(F32).astype(F64) * t  # plant: reversed custom_jvp


plant("reversed custom_jvp", cosine, grads=1, program="gradient")


@jax.custom_vjp
def identity(x):
    return x


identity.defvjp(lambda x: (x, None), lambda _, t: (t.astype(F32).astype(F64),))
plant("custom_vjp", lambda x: x * identity(x), grads=1, program="gradient")  # plant: custom_vjp


@jax.custom_vjp
def tangent(x):
    return jnp.tan(x)


# JAX takes a cotangent of any float.
tangent.defvjp(lambda x: (jnp.tan(x), None), lambda _, t: (t.astype(F32),))
plant("cotangent", lambda x: tangent(-x), grads=1, program="gradient")  # plant: cotangent


@jax.custom_jvp
def clean_once(x):
    return jnp.sin(x)


@jax.custom_jvp
def slope(x):
    return jnp.cos(x)


@clean_once.defjvp
def _(primals, tangents):
    return clean_once(*primals), slope(*primals) * tangents[0]


@slope.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return slope(x), -jnp.sin(x).astype(F32).astype(F64) * t  # plant: second derivative


second = "gradient of gradient"
plant("second derivative", clean_once, grads=2, program=second)

# No cast in sight.


def preferred_type(x):
    over, kept = (((1,), (0,)), ((), ())), F32
    return lax.dot_general(x, x, over, preferred_element_type=kept)  # plant: preferred type


def scatter(x):
    buffer = jnp.zeros(3, F32)  # plant: scatter
    return buffer.at[jnp.array([0, 2])].set(x[0, :2].astype(buffer.dtype))  # plant: scatter


def carry(x):
    body = lambda total, row: (total + row.astype(total.dtype), None)  # plant: carry
    zero = jnp.zeros(3, F32)  # plant: carry
    return lax.scan(body, zero, x)[0]


def noise(x, key):
    return x + jax.random.normal(key, x.shape, F32).astype(x.dtype)  # plant: noise


plant("preferred type", preferred_type)
plant("scatter", scatter)
plant("carry", carry, path="scan", finds=LOW)
plant("noise", noise, "float64", "key", path="jit(_normal)/jit(_normal_real)", finds=LOW)

BITS = ("narrowing", "reduce_precision to 23 bits")
plant("bits", lambda x: lax.reduce_precision(x, 8, 23), finds=BITS)  # plant: bits

# Constants.

FEW = np.array([0.1, 0.2, 0.3], np.float32)
with jax.enable_x64(False):
    BORN_NARROW = jnp.asarray([0.1, 0.2, 0.3])
LITERAL = ("constant", "float64 0.10000000149011612 with the digits of float32")
COMPLEX = ("constant", "complex128 0.10000000149011612j with the digits of float32")
VECTOR = ("constant", "float64(3,) with the digits of float32")
NARROW = ("constant", "float32(3,)")

plant("literal", lambda x: x * float(FEW[0]), finds=LITERAL)  # plant: literal
plant("array", lambda x: jnp.sin(x[0]) * FEW.astype(F64), finds=VECTOR)  # plant: array
plant("born narrow", lambda x: x[0] * BORN_NARROW.astype(F64), finds=NARROW)  # plant: born narrow
plant("scalar", lambda x: x * jnp.asarray(FEW[0]).astype(F64), finds=LITERAL)  # plant: scalar
plant("complex", lambda x: x * (1j * float(FEW[0])), "complex128", finds=COMPLEX)  # plant: complex

of_branch = lambda x: lax.cond(x[0, 0] > 0, lambda: 0.5, lambda: float(FEW[0]))  # plant: branch
plant("branch", of_branch, path="cond", finds=LITERAL)

of_scan = lambda total, row: (total + row * float(FEW[0]), None)  # plant: constant in scan
scan_in_jit = jax.jit(lambda x: lax.scan(of_scan, x[0], x)[0])
plant("constant in scan", scan_in_jit, path="jit/scan", finds=LITERAL)

# Integers.


def schedule(x, count):
    rate = 0.5 ** (count / 100)  # plant: schedule
    return x * rate.astype(x.dtype)


def converted(x, count):
    return x * lax.convert_element_type(count, F32).astype(x.dtype)  # plant: converted


def integer_mean(x, n):
    return x * jnp.mean(n).astype(x.dtype)  # plant: integer mean


def optax_schedule(x, count):
    decay = optax.exponential_decay(1e-3, transition_steps=100, decay_rate=0.9)
    with jax.numpy_dtype_promotion("standard"):
        return x * decay(count).astype(x.dtype)  # plant: optax schedule


def multi_steps(x):
    optimizer = optax.MultiSteps(optax.sgd(0.1), 2)
    with jax.numpy_dtype_promotion("standard"):
        state = optimizer.init(x)  # plant: multi steps
        return optimizer.update(x, state, x)[0]  # plant: multi steps


plant("schedule", schedule, "float64", "int32", finds=INTEGER)
plant("converted", converted, "float64", "int32", finds=INTEGER)
plant("integer mean", integer_mean, "float64", "int32", finds=INTEGER)
plant("optax schedule", optax_schedule, "float64", "int32", finds=INTEGER)
plant("multi steps", multi_steps, path="cond")

# Other dtypes than float64.

TO_COMPLEX = ("narrowing", "float64 -> complex64")
plant("to complex", lambda x: x.astype(jnp.complex64), finds=TO_COMPLEX)  # plant: to complex

OF_COMPLEX = ("narrowing", "complex128 -> complex64")
of_complex = lambda x: x.astype(jnp.complex64)  # plant: of complex
plant("of complex", of_complex, "complex128", finds=OF_COMPLEX)

in_float32 = lambda total, row: (total + row.astype(BF16).astype(F32), None)  # plant: bfloat16
scan_bfloat16 = lambda x: lax.scan(in_float32, x[0], x)[0]
SHORT = ("narrowing", "float32 -> bfloat16")
plant("bfloat16", scan_bfloat16, "float32", path="scan", finds=SHORT)

LESS_RANGE = ("narrowing", "bfloat16 -> float16")
half = lambda x: x.astype(jnp.float16).astype(BF16)  # plant: float16 in bfloat16
plant("float16 in bfloat16", half, "bfloat16", finds=LESS_RANGE)

FEWER_DIGITS = ("narrowing", "float16 -> bfloat16")
brain = lambda x: x.astype(BF16).astype(jnp.float16)  # plant: bfloat16 in float16
plant("bfloat16 in float16", brain, "float16", finds=FEWER_DIGITS)

DEFAULT = ("matmul precision", "dot_general of float32 at the platform's default")
plant("matmul", lambda x: x @ x, "float32", finds=DEFAULT)  # plant: matmul

NAMED = ("matmul precision", "dot_general of float32 at TF32_TF32_F32")
named = lambda x: jnp.dot(x, x, precision="TF32_TF32_F32")  # plant: named precision
plant("named precision", named, "float32", finds=NAMED)

# XLA would cast the operands; the program shows float64 alone.
CUT = ("matmul precision", "dot_general of float64 at F32_F32_F32")
by_name = lambda x: jnp.dot(x, x, precision="F32_F32_F32")  # plant: algorithm by name
plant("algorithm by name", by_name, finds=CUT)

BY_TYPES = ("matmul precision", "dot_general of float64 at an algorithm of float32")
algorithm = lax.DotAlgorithm(F32, F32, F64)
by_types = lambda x: lax.dot(x, x, precision=algorithm)  # plant: algorithm by types
plant("algorithm by types", by_types, finds=BY_TYPES)

OF_COMPLEX64 = ("matmul precision", "dot_general of complex64 at the platform's default")
plant("complex matmul", lambda x: x @ x, "complex64", finds=OF_COMPLEX64)  # plant: complex matmul

ROUGH = ("low precision", "exp to a tolerance of rtol=0.001")
rough = lambda x: lax.exp(x, accuracy=lax.Tolerance(rtol=1e-3))  # plant: tolerance
plant("tolerance", rough, finds=ROUGH)

CONV = ("matmul precision", "conv_general_dilated of float32 at the platform's default")
conv = jax.jit(lambda x: lax.conv(x[None, None], x[None, None], (1, 1), "SAME"))  # plant: conv
plant("conv", conv, "float32", path="jit", finds=CONV)

# Calls that cannot be read.


def rounded(x):
    return np.asarray(x, np.float32).astype(np.float64)


PURE = ("opaque", f"pure_callback {__name__}.rounded")
plant("pure", lambda x: jax.pure_callback(rounded, x, x), finds=PURE)  # plant: pure

EFFECT = ("opaque", f"io_callback {__name__}.rounded")
with_effect = lambda _, row: (None, io_callback(rounded, row, row))  # plant: with effect
plant("with effect", lambda x: lax.scan(with_effect, None, x)[1], path="scan", finds=EFFECT)

FOREIGN = ("opaque", "ffi_call rounding")
plant("ffi", lambda x: jax.ffi.ffi_call("rounding", x)(x), finds=FOREIGN)  # plant: ffi

EXPORTED = ("opaque", "call_exported rounded_by_jax")


def exported(x):
    rounded_by_jax = lambda x: x.astype(F32).astype(F64)
    rounded_by_jax.__name__ = "rounded_by_jax"
    return jax.export.export(jax.jit(rounded_by_jax))(x).call(x)  # plant: exported


NO_INLINE = ("opaque", "noinline")
not_inline = eqx.internal.noinline(lambda x: x.astype(F32).astype(F64))
plant("exported", exported, path="custom_vjp_call", finds=EXPORTED)
plant("noinline", lambda x: -not_inline(x), finds=NO_INLINE)  # plant: noinline

foreign = Primitive("foreign")
foreign.def_abstract_eval(lambda x: x)
plant("primitive", lambda x: -foreign.bind(x), finds=("opaque", "foreign"))  # plant: primitive


def listed(entries):
    wide = lambda entry: bool({"float64", "complex128"} & set(entry.args))
    return [pytest.param(e, id=e.name, marks=[needs_x64] * wide(e)) for e in entries]


@pytest.mark.parametrize("entry", listed(PLANTS))
def test_planted_bug_is_found_where_it_stands(entry):
    report = audit(entry.function, *map(example, entry.args), grads=entry.grads)
    found = {(f.kind, f.detail, f.path): f for f in report.failures if f.program == entry.program}
    expected = (entry.kind, entry.detail, entry.path)
    assert expected in found, report
    assert found[expected].line in entry.lines, report
    assert {f.line for f in report.failures} <= set(entry.lines), report


OF_RULES = [e for e in PLANTS if e.grads and "remat" not in e.name and "scan" not in e.name]


@pytest.mark.parametrize("entry", listed(OF_RULES))
def test_bug_of_a_rule_is_found_in_no_lower_derivative(entry):
    assert audit(entry.function, example("float64"), grads=entry.grads - 1).failures == ()


def test_there_are_enough_plants_each_with_its_own_line():
    assert len(PLANTS) >= 24
    assert all(entry.lines for entry in PLANTS)
    assert len({entry.name for entry in PLANTS}) == len(PLANTS)
