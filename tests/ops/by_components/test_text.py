"""A function as C text is that of JAX, compiled by this machine's compiler."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.by_components import Array, Refusal, Text, c_function
from sciml_lux.ops.solve.kernels import device_text, field_text, field_vjp_text

from ..host import library, needs_compiler, pointers, poisoned
from .fields import ACTIVATIONS, FIELDS, network

REAL = np.dtype(jnp.zeros(0).dtype)
SINGLE = np.dtype(np.float32)
NUMBER = 3


def fields_of(names):
    return {name: FIELDS[name] if name in FIELDS else network(name) for name in names}


def program_of(field, components, parameters, dtype):
    """Of scalars."""

    def flat(t, *rest):
        found = field(t, jnp.stack(rest[:components]), jnp.stack(rest[components:]))
        return [found[i] for i in range(components)]

    return jax.make_jaxpr(flat)(*[jax.ShapeDtypeStruct((), dtype)] * (1 + components + parameters))


CALL = """
extern "C" void call_NUMBER(const real* t, const real* y, const real* p, const real* dy_bar,
                            real* dy, real* y_bar, real* p_bar)
{
    field(*t, y, p, dy);
    field_vjp(*t, y, p, dy_bar, y_bar, p_bar);
}
"""


@functools.cache
def compiled(names, dtype):
    parts = [device_text("prelude.h"), f"typedef {'float' if dtype == SINGLE else 'double'} real;"]
    for i, (field, components, parameters) in enumerate(fields_of(names).values()):
        program = program_of(field, components, parameters, dtype)
        own = field_text(program, components)
        transposed = field_vjp_text(program, components, (True,) * parameters)
        call = CALL.replace("NUMBER", str(i))
        parts.append(f"namespace n{i} {{\n{own}\n{transposed}\n{call}\n}}")
    return library("\n".join(parts))


def given(components, parameters, dtype, spread):
    rng = np.random.default_rng(1)
    sizes = [(NUMBER, 1), (NUMBER, components), (NUMBER, parameters), (NUMBER, components)]
    return [(spread * rng.normal(size=size)).astype(dtype) for size in sizes]


def by_text(names, dtype, spread):
    found = {}
    for i, (name, (_, components, parameters)) in enumerate(fields_of(names).items()):
        call = getattr(compiled(names, dtype), f"call_{i}")
        results = [poisoned((NUMBER, size), dtype) for size in (components, components, parameters)]
        for j in range(NUMBER):
            rows = [x[j] for x in (*given(components, parameters, dtype, spread), *results)]
            call(*pointers(rows))
        found[name] = results
    return found


def by_jax(names, dtype, spread):
    def all_(arrays):
        found = {}
        for name, (field, *_) in fields_of(names).items():
            t, y, p, seed = arrays[name]
            dy, pull = jax.vjp(jax.vmap(field), t[:, 0], y, p)
            found[name] = [dy, *pull(seed)[1:]]
        return found

    arrays = {name: given(c, p, dtype, spread) for name, (_, c, p) in fields_of(names).items()}
    return jax.jit(all_)(jax.tree.map(jnp.asarray, arrays))


def check(names, dtype, spread=1.0):
    found, wanted = by_text(names, dtype, spread), by_jax(names, dtype, spread)
    for name in names:
        for one, other in zip(found[name], wanted[name], strict=True):
            size = max(1.0, np.max(np.abs(other), initial=0))
            close = 20 * np.finfo(dtype).eps
            np.testing.assert_allclose(one / size, other / size, 0, close, err_msg=name)


SOME = ("pendulum", "two-bodies", "switched", "largest", "gathered", "softmax")
REST = tuple(name for name in FIELDS if name not in SOME)


@needs_compiler
def test_fields_as_text_are_those_of_jax_with_their_transposes():
    check(SOME, REAL)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("names", [SOME, REST], ids=["some", "rest"])
@pytest.mark.parametrize("dtype", [REAL, SINGLE], ids=["real", "single"])
def test_further_fields_and_precisions_are_those_of_jax(names, dtype):
    check(names, dtype)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("spread", [1.0, 12.0])
def test_networks_as_text_are_those_of_jax_with_their_derivative_rules(spread):
    check(ACTIVATIONS, REAL, spread)


def lines_of(function, number=1, dtype=REAL):
    program = jax.make_jaxpr(function)(*[jax.ShapeDtypeStruct((), dtype)] * number)
    result = np.dtype(program.out_avals[0].dtype)
    text = c_function(program, "f", [Array("x", dtype, number)], [Array("y", result, 1)])
    return text.splitlines()[2:-1]


@pytest.mark.any_precision
@pytest.mark.traced
def test_equal_statements_are_written_once_and_unused_ones_not_at_all():
    def function(x, y):
        jnp.sin(x)
        return (x * y + 2.0) * (y * x + 2.0) + jnp.zeros((), x.dtype) * 3.0

    lines = lines_of(function, 2)
    assert sum("*" in line for line in lines) == 2
    assert not any("sin" in line for line in lines)


UNCHANGED = {
    "x + -0": lambda x: x + jnp.asarray(-0.0, x.dtype),
    "-0 + x": lambda x: jnp.asarray(-0.0, x.dtype) + x,
    "x - 0": lambda x: x - 0.0,
    "x * 1": lambda x: x * 1.0,
    "1 * x": lambda x: 1.0 * x,
    "x / 1": lambda x: x / 1.0,
    "x or x": lambda x: jnp.where(x > 0, x, x),
    "chosen": lambda x: jax.lax.select_n(jnp.asarray(True), 2 * x, x),
    "x^1": lambda x: jax.lax.integer_pow(x, 1),
}
CHANGED = {
    "x + 0": lambda x: x + 0.0,  # Of -0 it is +0.
    "x - -0": lambda x: x - jnp.asarray(-0.0, x.dtype),
    "x * 0": lambda x: x * 0.0,  # NaN and infinity.
    "0 - x": lambda x: 0.0 - x,
    "1 / x": lambda x: 1.0 / x,
    "x - x": lambda x: x - x,
}


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.parametrize("name", [*UNCHANGED, *CHANGED])
def test_an_operation_is_dropped_where_that_keeps_every_bit(name):
    lines = lines_of({**UNCHANGED, **CHANGED}[name])
    assert (lines == ["    y[0] = x[0];"]) == (name in UNCHANGED)


@pytest.mark.any_precision
@pytest.mark.traced
def test_what_is_constant_is_folded():
    assert lines_of(lambda x: jnp.exp(jnp.zeros((), x.dtype)) * x) == ["    y[0] = x[0];"]
    numbers = np.arange(3, dtype=np.int32)
    assert lines_of(lambda x: jnp.asarray(numbers) @ numbers) == ["    y[0] = (5);"]


@pytest.mark.any_precision
@pytest.mark.traced
def test_types_without_a_c_form_are_refused():
    half = jnp.bfloat16
    with pytest.raises(Refusal, match="bfloat16 has no C form"):
        lines_of(lambda x: 2 * x, dtype=np.dtype(half))
    text = Text()
    with pytest.raises(Refusal, match="uint8 has no C form: components are float32, float64"):
        text.write(np.dtype(np.uint8), "1")
    with pytest.raises(Refusal, match="its result is int32, and not float"):
        program = jax.make_jaxpr(lambda x: x.astype(jnp.int32))(jnp.ones((), REAL))
        c_function(program, "f", [Array("x", REAL, 1)], [Array("y", REAL, 1)])
