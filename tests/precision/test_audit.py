import dataclasses
import json
import math
import os

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.source_info_util import new_source_info

import sciml_lux as lux
from sciml_lux import nn
from sciml_lux.precision import Audit, Finding, assert_no_narrowing, audit
from sciml_lux.programs import walk
from tests.catalogue import SOLVES, example_input
from tests.conftest import needs_x32, needs_x64

FILE = os.path.relpath(__file__)
F32 = jnp.float32


def line_of(function):
    """The line of a function's first statement, as the audit writes it."""
    return f"{FILE}:{function.__code__.co_firstlineno + 1}"


def cut(x):
    return x.astype(jnp.float16).astype(x.dtype)


def found(report):
    return {(f.program, f.kind, f.detail) for f in report.findings}


def applied(entry, dtype):
    """A catalogue entry as a function of its input and parameters, and those two."""
    ps, st = lux.setup(0, entry.layer, dtype=dtype)
    return (lambda x, ps: entry.layer(x, ps, st)[0]), example_input(entry.x, dtype), ps


# Clean programs pass in silence; `tests/test_dtype_matrix.py` has the catalogue's.


# A solve's default adjoint is a custom_vjp.
@needs_x64
@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in SOLVES])
def test_solve_of_the_catalogue_is_clean(entry):
    report = audit(*applied(entry, "float64"), grads=1)
    assert (report.want, report.findings) == ("float64", ())
    assert report.skipped == ()


@needs_x64
@pytest.mark.parametrize(
    "constant",
    [0.5, 1 / 3, math.pi, 1e-8, 7.0, 16777217.0, 0.5j, complex(1 / 3, 0.25), np.float64(1 / 3)],
)
def test_constants_of_float64_are_clean(constant):
    x = jnp.ones(3, jnp.result_type(constant))
    assert audit(lambda x: x * constant, x).findings == ()


@needs_x64
@pytest.mark.parametrize(
    "data",
    [
        np.array([0.1, 0.2]),
        np.array([0.5, 0.25]),
        np.array([1.0, 2.0**40]),
        np.array([np.nan, np.inf]),
        np.array([0.1, np.float32(0.1)]),
        np.array([0.5, 0.25], np.float32),
        np.array([1 / 3, 0.5j]),
        np.zeros(0),
        np.arange(6.0).reshape(2, 3).T / 7,
    ],
)
def test_data_of_full_or_few_digits_is_clean(data):
    constant = jnp.asarray(data)
    f = lambda x: x * jnp.sum(jnp.abs(constant.astype(complex))).astype(x.dtype)
    assert audit(f, jnp.ones(2, jnp.float64)).findings == ()


@needs_x64
def test_integer_constants_and_indices_are_clean():
    places = np.array([2, 0], np.int32)
    f = lambda x, n: 3 * x[places] + x[n] + jnp.arange(2, dtype=x.dtype)
    assert audit(f, jnp.ones(3, jnp.float64), jnp.zeros(2, jnp.int32), grads=2).findings == ()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_reduction_of_half_precision_in_float32_is_clean(dtype):
    for f in (jnp.mean, jnp.sum, lambda x: jnp.sum(x * x)):
        assert audit(f, jnp.ones(4, dtype), grads=2).findings == ()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_computed_in_float32_is_told_and_passes(dtype):
    f = lambda x: jnp.exp(x.astype(F32)).astype(x.dtype)
    report = audit(f, jnp.ones(4, dtype), grads=2)
    assert ("value", "widening", f"{dtype} -> float32") in found(report)
    assert ("value", "narrowing back", f"float32 -> {dtype}") in found(report)
    assert {f.kind for f in report.findings} == {"widening", "narrowing back"}
    assert report.failures == ()
    assert_no_narrowing(f, jnp.ones(4, dtype), grads=2)


@needs_x64
def test_way_back_from_float64_is_told_and_passes():
    f = lambda x: jnp.sin(x.astype(jnp.float64)).astype(F32) * 2.0
    report = audit(f, jnp.ones(2, F32))
    assert found(report) == {
        ("value", "widening", "float32 -> float64"),
        ("value", "narrowing back", "float64 -> float32"),
    }
    assert report.failures == ()
    drawn = lambda key: jax.random.uniform(key, (2,), F32)  # With weak bounds of float64 inside.
    assert audit(drawn, jax.random.key(0), want=F32).findings == ()


def test_runtime_error_of_equinox_is_not_opaque(dtype):
    f = lambda x: eqx.error_if(x, x[0] < 0, "`x` is negative")
    assert audit(f, jnp.ones(2, dtype), grads=2).findings == ()


# What is read.


@needs_x64
def test_want_is_the_widest_float_of_the_arrays():
    x, y = jnp.ones(2, jnp.float64), jnp.ones(2, F32)
    assert audit(lambda x, y: x, y, x).want == "float64"
    assert audit(lambda x, y: x, x.astype(complex), y).want == "float64"
    assert audit(lambda x, c: c * x, y, 2.0).want == "float32"
    assert audit(lambda c: c, 2.0).want == "float64"


@needs_x64
def test_want_given_by_hand():
    f = lambda x: 2 * x
    assert audit(f, jnp.ones(2, F32)).findings == ()
    report = audit(f, jnp.ones(2, F32), want=jnp.float64)
    assert found(report) == {("value", "low precision", "float32")}
    widened = audit(lambda x: x.astype(jnp.float64), jnp.ones(2, F32))
    assert found(widened) == {("value", "widening", "float32 -> float64")}


def test_arguments_are_trees_integers_layers_keys_and_shapes(dtype):
    model = nn.Dense(3, 2)
    ps, st = lux.setup(0, model, dtype=dtype)
    shape = jax.ShapeDtypeStruct((4, 3), dtype)

    def f(model, batch, ps, key):
        x = batch["x"][batch["rows"]] + jax.random.normal(key, (2, 3), dtype)
        return {"y": model(x, ps, st)[0], "rows": batch["rows"], "scale": 2.0}

    batch = {"x": shape, "rows": jax.ShapeDtypeStruct((2,), jnp.int32)}
    report = audit(f, model, batch, ps, jax.random.key(0), grads=2)
    assert (report.findings, report.skipped) == ((), ())


@needs_x64
def test_outputs_of_two_dtypes_are_differentiated_together():
    def f(x, y):
        return jnp.sin(x), jnp.sin(y)

    report = audit(f, jnp.ones(2, jnp.float64), jnp.ones(2, F32), grads=2)
    assert {(finding.detail, finding.line) for finding in report.findings} == {
        ("float32", line_of(f))
    }


def test_program_without_forward_mode_is_listed_as_not_read(dtype):
    @jax.custom_vjp
    def f(x):
        return x

    f.defvjp(lambda x: (x, None), lambda _, t: (t,))
    report = audit(f, jnp.ones(2, dtype), grads=1)
    assert (report.findings, report.skipped) == ((), ("jvp: a custom_vjp has no forward mode",))
    assert repr(report).splitlines()[1] == "not read: jvp: a custom_vjp has no forward mode"


@pytest.mark.parametrize("f", [lambda n: n + 1, lambda n: 0.5, lambda n: n > 0])
def test_nothing_to_differentiate_is_listed_as_not_read(f):
    report = audit(f, jnp.arange(3), grads=2)
    assert report.skipped == ("gradient: no floating argument or no floating output",)


def test_function_without_reverse_mode_is_read_in_forward_mode(dtype):
    doubled = lambda x: lax.while_loop(lambda x: x[0] < 3, lambda x: 2 * x, x)
    report = audit(doubled, jnp.ones(2, dtype), grads=1)
    assert (report.findings, len(report.skipped)) == ((), 1)
    assert report.skipped[0].startswith("gradient: Reverse-mode differentiation does not work")
    assert_no_narrowing(doubled, jnp.ones(2, dtype), grads=1)
    with pytest.raises(AssertionError, match="not read: gradient of gradient: Reverse-mode"):
        assert_no_narrowing(doubled, jnp.ones(2, dtype), grads=2)

    @jax.custom_jvp
    def cut_in_forward_mode(x):
        return x

    cut_in_forward_mode.defjvp(lambda x, t: (x[0], cut(t[0])))
    f = lambda x: lax.while_loop(lambda x: x[0] < 3, lambda x: 2 * cut_in_forward_mode(x), x)
    assert ("jvp", "narrowing", "float32 -> float16") in found(audit(f, jnp.ones(2, F32), grads=1))


def test_function_without_derivatives_proves_nothing_of_them():
    f = lambda x: jax.pure_callback(np.sin, x, x)
    report = audit(f, jnp.ones(2, F32), grads=1)
    assert found(report) == {("value", "opaque", "pure_callback numpy.sin")}
    assert [reason.partition(": Pure")[0] for reason in report.skipped] == ["gradient", "jvp"]
    with pytest.raises(AssertionError, match="not read: jvp: Pure callbacks do not support JVP"):
        assert_no_narrowing(f, jnp.ones(2, F32), allow=("opaque",))


def test_grads_chooses_the_programs():
    x = jnp.ones(2, F32)
    programs = [{f.program for f in audit(cut, x, grads=n).findings} for n in (0, 1)]
    assert programs == [{"value"}, {"value", "gradient", "jvp"}]
    squared = audit(lambda x: cut(x) ** 2, x, grads=2)
    assert {f.program for f in squared.findings} - programs[1] == {"gradient of gradient"}


def test_same_findings_are_counted():
    report = audit(lambda x: [cut(x) for _ in range(3)], jnp.ones(2, F32))
    assert [(f.count, f.line) for f in report.findings] == [(3, line_of(cut))]


@needs_x64
def test_line_of_this_library_is_told_besides_the_users():
    model = nn.Dense(2, 2)
    ps, st = lux.setup(0, model, dtype=F32)

    def f(x):
        return model(x, ps, st)[0]

    report = audit(f, jnp.ones((1, 2), F32), want="float64")
    assert {f.line for f in report.findings} == {line_of(f)}
    assert any(f.library.startswith("sciml_lux/") for f in report.findings)


def test_line_of_an_equation_without_traceback_is_unknown():
    program = jax.make_jaxpr(cut)(jnp.ones(2, F32))
    bare = [equation.replace(source_info=new_source_info()) for equation in program.eqns]
    program = program.replace(jaxpr=program.jaxpr.replace(eqns=bare))
    sites = [visit.site for visit in walk(program)]
    assert [(site.path, site.line, site.library) for site in sites] == [("", "?", "")] * 2


def test_line_of_an_inner_equation_without_traceback_is_that_of_the_call():
    def f(x):
        return jnp.linalg.norm(x)

    lines = {v.site.line for v in walk(jax.make_jaxpr(f)(jnp.ones(2, F32)))}
    assert lines == {line_of(f)}


# What is said.


def test_table():
    x = jnp.ones(2, F32)
    report = audit(jax.jit(lambda x: [cut(x), cut(x)]), x)
    clean = audit(jnp.sin, x)
    assert repr(clean) == "audit for float32: nothing found"
    assert repr(report) == (
        "audit for float32: 1 of 1 kinds fail\n"
        "program  kind       detail              path  "
        f"line{' ' * (len(line_of(cut)) - 4)}  library  count\n"
        f"value    narrowing  float32 -> float16  jit   {line_of(cut)}           2"
    )


def test_table_puts_failures_first_and_notes_last():
    widening = Finding("value", "widening", "float16 -> float32", "", "f.py:1", "")
    opaque = Finding("jvp", "opaque", "ffi_call g", "scan", "f.py:2", "nn/_a.py:3", 4)
    report = Audit("float16", (opaque, widening), ("jvp: cannot",))
    assert report.failures == (opaque,)
    assert repr(report) == (
        "audit for float16: 1 of 2 kinds fail\n"
        "program  kind      detail              path  line    library     count\n"
        "jvp      opaque    ffi_call g          scan  f.py:2  nn/_a.py:3  4\n"
        "value    widening  float16 -> float32        f.py:1              1\n"
        "not read: jvp: cannot"
    )
    wide = lambda x: jnp.exp(x.astype(F32))
    both = audit(lambda x: (wide(x), x.astype(jnp.bfloat16)), jnp.ones(2, jnp.float16))
    assert [f.kind for f in both.findings] == ["narrowing", "widening"]


def test_json_holds_every_field():
    report = dataclasses.replace(audit(cut, jnp.ones(2, F32), grads=2), skipped=("a: b",))
    read = json.loads(report.to_json())
    findings = tuple(Finding(**finding) for finding in read["findings"])
    assert Audit(read["want"], findings, tuple(read["skipped"])) == report


def test_assert_no_narrowing_raises_with_the_table():
    x = jnp.ones(2, F32)
    with pytest.raises(AssertionError) as error:
        assert_no_narrowing(cut, x, grads=0)
    assert str(error.value) == f"digits are lost\n{audit(cut, x)!r}"
    assert_no_narrowing(jnp.sin, x, grads=2)
    with pytest.raises(AssertionError, match="gradient"):
        assert_no_narrowing(cut, x)


def test_assert_no_narrowing_lets_pass_what_is_allowed():
    x = jnp.ones((2, 2), F32)
    f = lambda x: jax.pure_callback(np.sin, x, x @ x)
    assert_no_narrowing(f, x, grads=0, allow=("opaque", "matmul precision"))
    with pytest.raises(AssertionError) as error:
        assert_no_narrowing(f, x, grads=0, allow=("opaque",))
    assert "dot_general of float32 at the platform's default" in str(error.value)
    assert "pure_callback" not in str(error.value)


@needs_x64
def test_assert_no_narrowing_keeps_what_is_wanted():
    with pytest.raises(AssertionError, match="low precision"):
        assert_no_narrowing(jnp.sin, jnp.ones(2, F32), want=jnp.float64)


@pytest.mark.parametrize("want", [jnp.int32, "float23"])
def test_want_that_is_no_float_is_an_error(want):
    with pytest.raises(TypeError, match="`audit`: `want` must be a floating or complex dtype"):
        audit(jnp.sin, jnp.ones(2, F32), want=want)


@needs_x32
def test_want_of_float64_with_x64_off_is_an_error():
    with pytest.raises(TypeError, match="`audit`: `want` is float64, but jax_enable_x64 is off"):
        audit(jnp.sin, jnp.ones(2, F32), want="float64")


@pytest.mark.parametrize("grads", [3, -1, "1", None])
def test_unknown_grads_is_an_error(grads):
    with pytest.raises(ValueError, match=f"`audit` expects `grads` to be 0, 1 or 2, got {grads!r}"):
        audit(jnp.sin, jnp.ones(2, F32), grads=grads)


@needs_x32
def test_float64_numpy_argument_with_x64_off_is_an_error():
    with pytest.raises(TypeError, match=r"`audit`: argument \[0\]\['x'\], a NumPy array, is float"):
        audit(lambda tree: tree["x"], {"x": np.ones(2)})
