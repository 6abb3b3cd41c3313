"""What an audit easily overlooks, or takes for a fault that it is not."""

import os

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from jax import lax
from jax.experimental import sparse
from jax.extend.core import Primitive

import sciml_lux as lux
from sciml_lux import ode
from sciml_lux.precision import audit
from tests.conftest import needs_x64

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
FILE = os.path.relpath(__file__)
F32, F64 = jnp.float32, jnp.float64


def line_of(function, below=1):
    return f"{FILE}:{function.__code__.co_firstlineno + below}"


def told(f, *args, **options):
    return {(g.kind, g.detail) for g in audit(f, *args, **options).findings}


# Requests for fewer digits.


def test_cut_exponent_is_told():
    f = lambda x: lax.reduce_precision(x, 5, 23)
    kind = ("narrowing", "reduce_precision to 5 bits of exponent")
    assert told(f, jnp.ones(2, F32)) == {kind}
    assert told(lambda x: lax.reduce_precision(x, 8, 23), jnp.ones(2, F32)) == set()


@pytest.mark.parametrize("side", ["left", "right"])
def test_sparse_product_at_default_precision_is_told(side):
    matrix = sparse.BCOO.fromdense(jnp.eye(3, dtype=F32))
    f = lambda x: matrix @ x if side == "left" else x @ matrix
    kind = ("matmul precision", "bcoo_dot_general of float32 at the platform's default")
    assert kind in told(f, jnp.ones((3, 3), F32))


@needs_x64
def test_sparse_product_of_float64_is_clean():
    matrix = sparse.BCOO.fromdense(jnp.eye(3, dtype=F64))
    assert told(lambda x: matrix @ x, jnp.ones(3, F64)) == set()


# Tables of constants.

HONEST = np.random.default_rng(0).uniform(size=40)
CUT = HONEST.astype(np.float32).astype(np.float64)


@needs_x64
@pytest.mark.parametrize("honest", [1, 10, 30])
def test_honest_numbers_do_not_hide_those_of_float32(honest):
    table = np.concatenate([HONEST[:honest], CUT[honest:]])
    ((kind, detail),) = told(lambda x: x * jnp.asarray(table), jnp.ones(40, F64))
    assert kind == "constant"
    assert detail.startswith("float64(40,) with the digits of float32 in ")
    share = int(detail.rpartition(" in ")[2].partition(" ")[0])
    assert 0.8 * (40 - honest) < share <= 40 - honest


@needs_x64
@pytest.mark.parametrize(
    "table",
    [
        HONEST,
        np.append(HONEST, CUT[:1]),
        np.append(HONEST, np.arange(40) / 2**17),
        np.append(HONEST, [np.inf, np.nan, 2.0**100, 1e300]),
        np.linspace(0.0, 1.0, 40),
    ],
)
def test_table_of_full_digits_is_clean(table):
    f = lambda x: x * jnp.asarray(table)
    assert told(f, jax.ShapeDtypeStruct(table.shape, F64)) == set()


# Digits cut by what has no derivative.


def cut_by_rounding(x):
    return jnp.round(x * 1e3) / 1e3


def cut_by_floor(x):
    return jnp.floor(x * 1e3) / 1e3


def cut_by_ceil(x):
    return jnp.ceil(x * 1e3) / 1e3


def cut_by_integers(x):
    return (x * 1e3).astype(jnp.int32).astype(x.dtype)


def cut_by_bits(x):
    bits = lax.bitcast_convert_type(x, jnp.int32)
    return jax.jit(lambda b: lax.bitcast_convert_type(b & ~jnp.int32(255), x.dtype))(bits)


@pytest.mark.parametrize(
    ("f", "detail"),
    [
        (cut_by_rounding, "round of float32"),
        (cut_by_floor, "floor of float32"),
        (cut_by_ceil, "ceil of float32"),
        (cut_by_integers, "float -> int32 -> float32"),
        (cut_by_bits, "float -> bits -> float32"),
    ],
)
def test_cut_without_a_derivative_is_told_and_passes(f, detail):
    report = audit(lambda x: lax.map(f, x), jnp.ones(3, F32))
    (finding,) = report.findings
    assert (finding.kind, finding.detail) == ("rounding", detail)
    assert finding.line in {line_of(f), line_of(f, 2)}
    assert report.failures == ()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x - jnp.round(x),
        lambda x: x - 0.5 * jnp.round(x / 0.5),
        lambda x: 1.0 - (jnp.ceil(x) - x),
        lambda x: x[jnp.round(x).astype(jnp.int32)],
        lambda x: jnp.where(jnp.floor(x) == x, x, 2 * x),
        lambda x: jnp.mod(x, 0.3),
        jnp.median,
        lambda x: x - jnp.floor(x).astype(jnp.int32).astype(x.dtype),
        lambda x: x * jnp.arange(3).astype(x.dtype),
        lambda x: x + jax.random.normal(jax.random.key(0), x.shape, x.dtype),
        lambda x: x[jnp.floor(x).astype(jnp.int32)],
    ],
)
def test_remainders_indices_and_draws_are_clean(f):
    assert told(f, jnp.ones(3, F32), grads=1) == set()


EXPONENT = np.asarray(np.inf, np.float32).view(np.int32)


def power_of_two(x, kept=EXPONENT):
    """The power of two that brings |x| to about 1, by the bits of its exponent."""
    bits = lax.bitcast_convert_type(x, jnp.int32) & kept
    return jnp.where(bits == 0, 1.0, lax.bitcast_convert_type(EXPONENT - bits, F32))


def scaled_norm(x):
    unit = power_of_two(jnp.max(jnp.abs(x)))
    scaled = x * unit
    return jnp.sqrt(jnp.sum(scaled * scaled)) / unit


@pytest.mark.parametrize(
    "f",
    [
        scaled_norm,
        lambda x: x * power_of_two(x),
        lambda x: x[:, None] / -jax.jit(power_of_two)(x)[:, None],
        lambda x: lax.map(jax.vmap(scaled_norm), x[None, :, None]),
    ],
)
def test_scaling_by_a_power_of_two_is_clean(f):
    assert told(f, jnp.ones(3, F32), grads=1) == set()


@pytest.mark.parametrize(
    "f",
    [
        power_of_two,
        lambda x: 3 * power_of_two(x),
        lambda x: jnp.sum(power_of_two(x)) * x,
        lambda x: power_of_two(x) * power_of_two(x),
        lambda x: power_of_two(x) * power_of_two(2 * x),
        lambda x: (x * power_of_two(x), power_of_two(x)),
        lambda x: x * power_of_two(x, EXPONENT + np.int32(1 << 22)),
        lambda x: x * (lax.bitcast_convert_type(x, jnp.int32) & EXPONENT).astype(F32),
    ],
)
def test_power_of_two_that_does_not_scale_what_it_was_made_of_is_told(f):
    assert {kind for kind, _ in told(f, jnp.ones(3, F32))} == {"rounding"}


# Programs inside the primitives of others.

foreign = Primitive("foreign_with_program")
foreign.def_abstract_eval(lambda x, program: x)


def test_foreign_primitive_is_opaque_though_it_carries_a_program():
    program = jax.make_jaxpr(jnp.sin)(jnp.ones(2, F32))
    f = lambda x: foreign.bind(x, program=program)
    assert told(f, jnp.ones(2, F32)) == {("opaque", "foreign_with_program")}


def test_searchsorted_is_read():
    f = lambda x: x * jnp.searchsorted(jnp.arange(3, dtype=F32), x).astype(F32)
    assert ("opaque", "call_hi_primitive") not in told(f, jnp.ones(2, F32))


def solved(x, dtype):
    matrix = (jnp.eye(3, dtype=x.dtype) + jnp.outer(x, x)).astype(dtype).astype(x.dtype)
    return lx.linear_solve(lx.MatrixLinearOperator(matrix), x).value


def solved_in_turns(x, dtype):
    cast = lambda v: v.astype(dtype).astype(x.dtype)
    operator = lx.FunctionLinearOperator(lambda v: cast(v) * (1 + x**2), jax.typeof(x))
    solver = lx.GMRES(rtol=1e-6, atol=1e-6)
    return lx.linear_solve(operator, x, solver, throw=False).value


@needs_x64
@pytest.mark.parametrize("f", [solved, solved_in_turns])
@pytest.mark.parametrize("wrap", [lambda f: f, jax.vmap], ids=["one", "vmap"])
def test_solve_of_lineax_is_read(f, wrap):
    x = jnp.ones((2, 3), F64) if wrap is jax.vmap else jnp.ones(3, F64)
    assert told(wrap(lambda x: f(x, F64)), x, grads=1) == set()
    assert ("narrowing", "float64 -> float32") in told(wrap(lambda x: f(x, F32)), x)


# Lines.

TABLE = np.asarray([0.1, 0.2], np.float32).astype(np.float64)


class Field(lux.Layer):
    def __call__(self, u, ps, st):
        return -u * jnp.asarray(TABLE), st  # field


@needs_x64
def test_constant_inside_a_solve_is_told_where_it_is_used():
    node = ode.NeuralODE(Field(), (0.0, 1.0))
    ps, st = lux.setup(0, node, dtype=F64)
    report = audit(lambda u: node(u, ps, st)[0], jnp.ones(2, F64))
    with open(__file__) as file:
        (line,) = [i for i, text in enumerate(file, 1) if text.endswith("# field\n")]
    assert {(g.kind, g.line) for g in report.findings} == {("constant", f"{FILE}:{line}")}
