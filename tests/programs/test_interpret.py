"""`interpret` with rules of one's own: values, control flow, custom rules, errors."""

import functools
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from sciml_lux.programs import INLINED, bind, inlined, interpret
from tests.conftest import needs_x64

pytestmark = pytest.mark.any_precision
FILE = os.path.relpath(__file__)
F32 = jnp.float32


def line_of(function):
    return f"{FILE}:{function.__code__.co_firstlineno + 1}"


def evaluate(f, *args, rules, **options):
    return interpret(jax.make_jaxpr(f)(*args), jax.tree.leaves(args), rules, **options)


# Values that are strings: a program as text.

TEXT = {
    name: functools.partial(lambda sign, call, *xs: f"({f' {sign} '.join(xs)})", sign)
    for name, sign in {"add": "+", "mul": "*", "sub": "-"}.items()
} | {name: lambda call, x: f"{call.name}({x})" for name in ("sin", "neg")}


def test_values_may_be_strings():
    @jax.custom_jvp
    def g(x):
        return jnp.sin(x)

    g.defjvp(lambda x, t: (g(*x), t[0]))
    f = jax.checkpoint(lambda x, y: jax.jit(lambda x: g(x) * 2.0)(x) + y)
    program = jax.make_jaxpr(f)(1.0, 2.0)
    assert interpret(program, ["x", "y"], TEXT | INLINED, lift=str) == ["((sin(x) * 2.0) + y)"]


def test_strings_need_rules_for_calls():
    program = jax.make_jaxpr(jax.jit(jnp.sin))(1.0)
    with pytest.raises(
        TypeError, match=r"expects pytrees of arrays through the `jit` at .*got 'x'"
    ):
        interpret(program, ["x"], TEXT, lift=str)


# Values that are pairs: a number and its derivative, against jax.jvp.


def _sin(call, x):
    return jnp.sin(x[0]), jnp.cos(x[0]) * x[1]


def _add(call, x, y):
    return x[0] + y[0], x[1] + y[1]


def _mul(call, x, y):
    return x[0] * y[0], x[0] * y[1] + x[1] * y[0]


def _linear(call, x):
    return (bind(call, x[0]), bind(call, x[1])) if isinstance(x, tuple) else bind(call, x)


def _compare(call, x, y):
    return bind(call, x[0], y[0])


PAIRS = {"sin": _sin, "add": _add, "mul": _mul, "lt": _compare, "reduce_sum": _linear}


def pair(x):
    return x, jnp.zeros_like(x)


def through_scan(x):
    return lax.scan(lambda c, r: (c * r + jnp.sin(x[0]), c), x[0], x, reverse=True)


def through_while(x):
    return lax.while_loop(lambda c: c[0] < 3.0, lambda c: c * (1.5 + x[0]), jnp.sin(x[0]) * x)


def through_cond(x):
    return lax.cond(x[0] < x[1], jnp.sin, lambda x: x * x, x)


def through_calls(x):
    return jax.checkpoint(jax.jit(lambda y: jnp.sin(y) * x))(x)


def through_remat(x):
    return jax.checkpoint(lambda y: jnp.sin(y) * y)(x)


def through_rules(x):
    return lax.map(lambda x: twice_as_steep(x) * jax.jit(thrice_as_steep)(x, x), x)


@pytest.mark.parametrize("f", [through_scan, through_while, through_cond, through_calls])
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_values_may_be_pairs(f, wrap, dtype):
    x, t = jnp.asarray([0.3, 0.7, 1.1], dtype), jnp.asarray([1.0, -2.0, 0.5], dtype)
    moves = ("slice", "squeeze", "broadcast_in_dim", "convert_element_type")
    rules = PAIRS | dict.fromkeys(moves, _linear)
    program = jax.make_jaxpr(f)(x)
    run = wrap(lambda x, t: interpret(program, [(x, t)], rules, lift=pair))
    found = run(x, t)
    want = jax.jvp(lambda x: jax.tree.leaves(f(x)), (x,), (t,))
    for (value, slope), a, b in zip(found, *want, strict=True):
        np.testing.assert_allclose(value, a, rtol=1e-6)
        np.testing.assert_allclose(slope, b, rtol=1e-5)


def test_index_carried_beside_pairs_may_stay_an_array(dtype):
    def f(x):
        return lax.fori_loop(0, 3, lambda i, y: y * x, x)

    mixed = lambda call, x, y: _add(call, x, y) if isinstance(x, tuple) else bind(call, x, y)
    lift = lambda x: pair(x) if jnp.issubdtype(jnp.result_type(x), jnp.inexact) else x
    rules = PAIRS | {"add": mixed}
    x = jnp.asarray(1.5, dtype)
    ((value, slope),) = interpret(jax.make_jaxpr(f)(x), [(x, jnp.ones_like(x))], rules, lift=lift)
    np.testing.assert_allclose([value, slope], [1.5**4, 4 * 1.5**3], rtol=1e-6)


def test_carry_that_changes_its_structure_is_an_error():
    to_pair = {"sin": lambda call, x: (x, x)}
    f = lambda x: lax.scan(lambda c, _: (jnp.sin(c), None), x, length=2)[0]
    with pytest.raises(TypeError, match=r"the `scan` at .*must keep its structure and types"):
        evaluate(f, 1.0, rules=to_pair)


def test_branches_that_disagree_are_an_error():
    to_pair = {"sin": lambda call, x: (x, x)}
    f = lambda x: lax.cond(x < 0, jnp.sin, jnp.cos, x)
    with pytest.raises(TypeError, match=r"the `cond` at .*must keep its structure and types"):
        evaluate(f, 1.0, rules=to_pair, default=bind)


def test_decision_by_a_value_of_two_leaves_is_an_error():
    f = lambda x: lax.while_loop(lambda x: x < 3.0, lambda x: x + 1.0, x)
    rules = PAIRS | {"lt": lambda call, x, y: (x, y)}
    with pytest.raises(TypeError, match="expects one array for the `while` at .*with 4 leaves"):
        interpret(jax.make_jaxpr(f)(1.0), [(jnp.ones(()), jnp.ones(()))], rules, lift=pair)


# Arrays by other rules.


@needs_x64
def test_rule_reaches_into_every_program():
    def f(x):
        body = lambda c, r: (jax.jit(jax.checkpoint(jnp.sin))(c) * r, None)
        total = lax.scan(body, x[0], x)[0]
        return lax.cond(
            total > 0, lambda y: lax.fori_loop(0, 2, lambda _, y: jnp.sin(y), y), abs, total
        )

    x = jnp.asarray([0.3, 0.7])
    (found,) = evaluate(f, x, rules={"sin": lambda call, x: x * 2.0}, default=bind)
    np.testing.assert_allclose(found, 0.3 * 2 * 0.3 * 2 * 0.7 * 4)


@pytest.mark.parametrize(
    "f", [through_scan, through_while, through_cond, through_calls, through_rules]
)
def test_rule_may_close_over_what_is_traced_around(f, dtype):
    x = jnp.asarray([0.3, 0.7, 1.1], dtype)
    program = jax.make_jaxpr(f)(x)

    @jax.jit
    def run(x, scale):
        return interpret(program, [x], {"sin": lambda call, x: scale * jnp.sin(x)}, default=bind)

    for a, b in zip(run(x, jnp.asarray(1.0, dtype)), jax.tree.leaves(f(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    with jax.checking_leaks():
        jax.make_jaxpr(run)(x, jnp.asarray(2.0, dtype))


@pytest.mark.parametrize(
    "f", [through_scan, through_while, through_cond, through_remat, through_rules]
)
@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_rule_may_close_over_an_array(f, wrap, dtype):
    x, one = jnp.asarray([0.3, 0.7, 1.1], dtype), jnp.asarray([1.0], dtype)
    rules = {"sin": lambda call, x: jnp.sin(x) * one.reshape((1,) * x.ndim)}
    run = wrap(lambda x: interpret(jax.make_jaxpr(f)(x), [x], rules, default=bind))
    for a, b in zip(run(x), jax.tree.leaves(f(x)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_rule_may_widen_what_goes_into_control_flow():
    x = jnp.asarray([0.3, 0.7, 1.1], jnp.bfloat16)
    wide = {"sin": lambda call, x: jnp.sin(x.astype(F32))}
    f = lambda x: jnp.sin(jnp.sin(x)) if x.ndim else x
    (found,) = evaluate(jax.jit(f), x, rules=wide)
    np.testing.assert_allclose(found, np.sin(np.sin(np.asarray(x, np.float32))), rtol=1e-6)


# Derivatives of the interpreted function.


@jax.custom_jvp
def twice_as_steep(x):
    return jnp.sin(x)


twice_as_steep.defjvp(lambda x, t: (jnp.sin(*x), 2.0 * jnp.cos(*x) * t[0]))


@jax.custom_vjp
def thrice_as_steep(x, scale):
    return jnp.sin(x) * scale


thrice_as_steep.defvjp(
    lambda x, scale: (jnp.sin(x) * scale, (x, scale)),
    lambda kept, t: (3.0 * jnp.cos(kept[0]) * kept[1] * t, jnp.zeros_like(kept[1])),
)


def with_rules(x):
    body = lambda c, r: (twice_as_steep(c) + jax.jit(thrice_as_steep)(r, x[0]), c)
    last, rows = lax.scan(jax.checkpoint(body), x[0], x)
    return last + jnp.sum(rows)


def test_gradients_equal_the_originals(dtype):
    x = jnp.asarray([0.3, 0.7, 1.1], dtype)
    program = jax.make_jaxpr(with_rules)(x)
    again = lambda x: interpret(program, [x], {}, default=bind)[0]
    grads = [jax.jit(jax.grad(f))(x) for f in (with_rules, again)]
    np.testing.assert_array_equal(*grads)
    bare = jax.grad(lambda x: interpret(program, [x], INLINED, default=bind)[0])(x)
    assert not np.isclose(grads[0], bare).any()
    np.testing.assert_array_equal(*[jax.jit(jax.vmap(f))(x[None]) for f in (with_rules, again)])


def test_forward_and_second_derivatives_equal_the_originals(dtype):
    x = jnp.asarray([0.3, 0.7], dtype)
    f = lambda x: jnp.sum(jax.jit(twice_as_steep)(x) * x)
    again = lambda x: interpret(jax.make_jaxpr(f)(x), [x], {}, default=bind)[0]
    np.testing.assert_array_equal(*[jax.jit(jax.hessian(g))(x) for g in (f, again)])


def test_table_comes_before_a_custom_rule(dtype):
    x = jnp.asarray(0.3, dtype)
    program = jax.make_jaxpr(twice_as_steep)(x)
    again = lambda x: interpret(program, [x], {"custom_jvp_call": inlined}, default=bind)[0]
    np.testing.assert_allclose(jax.grad(again)(x), jnp.cos(x), rtol=1e-6)


@pytest.mark.parametrize("f", [twice_as_steep, lambda x: thrice_as_steep(x, x)])
def test_custom_rule_of_other_values_is_an_error(f):
    with pytest.raises(TypeError, match=r"cannot keep the derivative rule of the `custom_.*_call`"):
        interpret(jax.make_jaxpr(f)(0.3), [(0.3, 1.0)], PAIRS)
    program = jax.make_jaxpr(f)(0.3)
    (found,) = interpret(program, [(0.3, 1.0)], PAIRS | INLINED)
    bare = lambda x: interpret(program, [x], INLINED, default=bind)[0]
    np.testing.assert_allclose(found, jax.jvp(bare, (0.3,), (1.0,)), rtol=1e-6)


def test_newer_calls_are_interpreted_by_their_expansion():
    table = jnp.asarray([0.0, 1.0, 2.0], F32)
    f = lambda x: jnp.searchsorted(table, x)
    (found,) = evaluate(f, jnp.asarray([0.5, 1.5], F32), rules={}, default=bind)
    np.testing.assert_array_equal(found, [1, 2])


# Errors.


def test_primitive_without_a_rule_is_named_with_its_line():
    def f(x):
        return jnp.tanh(x)

    expected = f"no rule for the primitive `tanh` at {line_of(f)}. Put one into `rules`"
    with pytest.raises(LookupError, match=expected):
        evaluate(jax.jit(f), 1.0, rules={"sin": bind})


def test_wrong_number_of_arguments_is_an_error():
    with pytest.raises(ValueError, match="expects `args` to hold 1 values, .* got 2"):
        interpret(jax.make_jaxpr(jnp.sin)(1.0), [1.0, 2.0], {})
