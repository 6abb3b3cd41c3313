"""The C of every primitive, at awkward points: that of JAX, and as exact as C's own."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from sciml_lux.ops.by_components import Array, Refusal, c_function, literal
from sciml_lux.ops.solve.kernels import device_text
from sciml_lux.programs import ELEMENTWISE, walk

from ..host import library, needs_compiler, pointers

REAL = np.dtype(jnp.zeros(0).dtype)
SINGLE = np.dtype(np.float32)

UNARY = {
    **{
        name: getattr(jax.lax, name)
        for name in [
            "abs",
            "acos",
            "acosh",
            "asin",
            "asinh",
            "atan",
            "atanh",
            "cbrt",
            "ceil",
            "cos",
            "cosh",
            "erf",
            "erf_inv",
            "erfc",
            "exp",
            "exp2",
            "expm1",
            "floor",
            "is_finite",
            "lgamma",
            "log",
            "log1p",
            "logistic",
            "neg",
            "rsqrt",
            "sign",
            "sin",
            "sinh",
            "sqrt",
            "square",
            "tan",
            "tanh",
        ]
    },
    # Of newer JAX.
    **{n: getattr(jax.lax, n) for n in ["one_minus_square"] if hasattr(jax.lax, n)},
    "integer_pow": lambda x: jax.lax.integer_pow(x, -3),
    "convert_element_type": lambda x: x.astype(jnp.int32),
    "round": lambda x: jax.lax.round(x, jax.lax.RoundingMethod.TO_NEAREST_EVEN),
    "round away": lambda x: jax.lax.round(x, jax.lax.RoundingMethod.AWAY_FROM_ZERO),
    "stop_gradient": jax.lax.stop_gradient,
    "copy": lambda x: jnp.array(x, copy=True),
    "sum": lambda x: -0.0 + (x - 0.0) * 1.0 / 1.0,
    "zero": lambda x: x + 0.0,
    "product": lambda x: 0.0 * x,
    "int": lambda x: (x.astype(jnp.int32) * 65537 - 3).astype(x.dtype),
    "not": lambda x: ~(x > 1),
    "clamp": lambda x: jax.lax.clamp(jnp.asarray(-0.0, x.dtype), x, jnp.asarray(2.0, x.dtype)),
}
BINARY = {
    **{
        name: getattr(jax.lax, name)
        for name in [
            "add",
            "sub",
            "mul",
            "div",
            "max",
            "min",
            "pow",
            "rem",
            "atan2",
            "nextafter",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
        ]
    },
    "select_n": lambda x, y: jnp.where(x > y, x, y),
    "and": lambda x, y: (x > 0) & (y > 0),
    "or": lambda x, y: (x > 0) | (y > 0),
    "xor": lambda x, y: (x > 0) ^ (y > 0),
    "quotient": lambda x, y: jax.lax.div(x.astype(jnp.int32), y.astype(jnp.int32)),
    "remainder": lambda x, y: jax.lax.rem(x.astype(jnp.int32), y.astype(jnp.int32)),
    "bits": lambda x, y: ~(x.astype(jnp.int32) ^ y.astype(jnp.int32)),
    "chosen": lambda x, y: jax.lax.select_n(x.astype(jnp.int32) % 3, x, y, x + y),
    "powers": lambda x, y: jax.lax.pow(x, y.astype(jnp.int32)),
}
REFUSED = {
    **{name: getattr(jax.lax, name) for name in ("bessel_i0e", "bessel_i1e", "digamma")},
    "igamma": lambda x: jax.lax.igamma(x, x),
    "igammac": lambda x: jax.lax.igammac(x, x),
    "polygamma": lambda x: jax.lax.polygamma(x, x),
    "zeta": lambda x: jax.lax.zeta(x, x),
    "regularized_incomplete_beta": lambda x: jax.lax.betainc(x, x, x),
    "reduce_precision": lambda x: jax.lax.reduce_precision(x, 8, 7),
}
OTHERS = {"complex", "conj", "imag", "real", "add_any", "copy_p"}


def points(dtype):
    limits = np.finfo(dtype)
    ordinary = [0.25, 0.5, 0.999, 1.0, 1.5, 2.5, 3.0, 20.5, 1e3, 1e-9, 1e-30, 1e30]
    ends = [0.0, np.inf, limits.max, limits.tiny, 2.0**31, 3e9, limits.eps, 89.0, 709.0]
    small = limits.smallest_subnormal * np.array([1.0, 1000.0])
    positive = np.array([*ordinary, *ends, *small])
    return np.concatenate([positive, -positive, [np.nan]]).astype(dtype)


@functools.cache
def values(arity, dtype):
    """Of each form its values in C, those of JAX, and where."""
    forms, x = (UNARY, BINARY)[arity - 1], points(dtype)
    grid = [g.ravel() for g in np.meshgrid(*[x] * arity, indexing="ij")]
    parts, results = [device_text("prelude.h")], []
    scalars = [jax.ShapeDtypeStruct((), dtype)] * arity
    for i, function in enumerate(forms.values()):
        program = jax.make_jaxpr(function)(*scalars)
        given = Array("x", dtype, arity)
        results.append(Array("y", np.dtype(program.out_avals[0].dtype), 1))
        parts.append(c_function(program, f"function_{i}", [given], results[-1:]))
        parts.append(
            f'extern "C" void call_{i}(int n, const {given.c_type} x, {results[-1].c_type} y) {{'
            f" for (int i = 0; i < n; i++) function_{i}(x + {arity} * i, y + i); }}"
        )
    built, rows = library("\n".join(parts)), np.ascontiguousarray(np.stack(grid, axis=-1))
    wanted = jax.jit(lambda *x: [f(*x) for f in forms.values()])(*map(jnp.asarray, grid))
    found = [np.zeros(len(rows), result.dtype) for result in results]
    for i, values in enumerate(found):
        getattr(built, f"call_{i}")(len(rows), *pointers([rows, values]))
    return dict(zip(forms, zip(found, map(np.asarray, wanted), strict=True), strict=True)), rows


def agree(found, wanted, close, tiny):
    """Numbers, NaN and infinities in the same places, with the same signs."""
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    seen = (np.abs(wanted) > tiny) | (wanted == 0) & (found == 0)
    np.testing.assert_array_equal(np.signbit(found[seen]), np.signbit(wanted[seen]))
    np.testing.assert_allclose(found, wanted, close, tiny)


DTYPES = [REAL, pytest.param(SINGLE, marks=pytest.mark.slow)] if REAL != SINGLE else [SINGLE]


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("arity", [1, 2])
def test_primitives_in_c_are_those_of_jax(arity, dtype):
    limits = np.finfo(dtype)
    forms, x = values(arity, dtype)
    # JAX takes numbers below the least normal one for 0.
    normal = ((x == 0) | ~(np.abs(x) < limits.tiny)).all(axis=1)
    for name, pair in forms.items():
        found, wanted = (values[normal] for values in pair)
        assert found.dtype == wanted.dtype
        if found.dtype.kind != "f":
            np.testing.assert_array_equal(found, wanted, err_msg=name)
        elif name == "zero":  # XLA takes x + 0 for x, also of -0.
            assert not np.signbit(found[wanted == 0]).any()
        else:
            near_0 = 1e4 * limits.eps if name == "lgamma" else 2 * limits.tiny
            agree(found, wanted, 1024 * limits.eps, near_0)


NUMPY = {
    **{
        name: getattr(np, name)
        for name in [
            "cos",
            "sin",
            "tan",
            "cosh",
            "sinh",
            "tanh",
            "exp",
            "exp2",
            "expm1",
            "log",
            "log1p",
            "sqrt",
            "cbrt",
            "floor",
            "ceil",
            "square",
        ]
    },
    **{
        name: getattr(np, f"arc{name[1:]}")
        for name in ["acos", "acosh", "asin", "asinh", "atan", "atanh"]
    },
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
    "erf_inv": scipy.special.erfinv,
    "round": np.rint,
    "logistic": scipy.special.expit,
    "rsqrt": lambda x: 1 / np.sqrt(x),
}


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_functions_in_c_are_precise_also_of_subnormal_numbers(dtype):
    forms, x = values(1, dtype)
    limits = np.finfo(dtype)
    for name, function in NUMPY.items():
        with np.errstate(all="ignore"):
            wanted = function(x[:, 0].astype(REAL)).astype(dtype)
        # 1 / (1 + exp(-x)) is 0 where the power is infinite, as JAX's.
        near_0 = limits.tiny if name == "logistic" else 4 * limits.smallest_subnormal
        found = forms[name][0]
        np.testing.assert_allclose(found, wanted, 8 * limits.eps, near_0, err_msg=name)


def names_in(function, arity):
    program = jax.make_jaxpr(function)(*[jax.ShapeDtypeStruct((), REAL)] * arity)
    return {v.equation.primitive.name for v in walk(program) if v.equation is not None}


@pytest.mark.any_precision
@pytest.mark.traced
def test_every_elementwise_primitive_has_a_form_or_is_refused():
    tested = [names_in(f, 1) for f in UNARY.values()] + [names_in(f, 2) for f in BINARY.values()]
    newer = {"one_minus_square"} - set(UNARY)
    assert ELEMENTWISE - set().union(*tested) == {*REFUSED, *OTHERS, *newer}


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_form_in_c_is_refused_by_name(name):
    program = jax.make_jaxpr(REFUSED[name])(jax.ShapeDtypeStruct((), REAL))
    with pytest.raises(Refusal, match=rf"`{name}`.*: C has no function for it"):
        c_function(program, "f", [Array("x", REAL, 1)], [Array("y", REAL, 1)])


@pytest.mark.any_precision
@pytest.mark.parametrize(
    "value", [0.1, -0.0, 1 / 3, 2.0**-1074, 2.0**-149, 1e300, math.pi, 5e-324], ids=str
)
def test_literals_are_exact(value):
    for kind, end in ((np.float32, "f"), (np.dtype("float64").type, "")):
        with np.errstate(over="ignore"):
            number = kind(value)
        text = literal(number)
        if np.isfinite(number):
            assert text.endswith(f"{end})")
            found = float.fromhex(text.strip("()f"))
            assert found == number and math.copysign(1, found) == math.copysign(1, number)
        else:
            assert text == "(__int_as_float(0x7f800000))"
