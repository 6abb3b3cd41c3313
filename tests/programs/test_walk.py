"""What of a program is read, and where it is said to stand."""

import os

import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest
from jax import lax

from sciml_lux.programs import expanded, inside, open_jaxpr, walk

pytestmark = pytest.mark.any_precision
FILE = os.path.relpath(__file__)
F32 = jnp.float32


def walked(f, *args):
    return list(walk(jax.make_jaxpr(f)(*args)))


def test_every_equation_is_visited_with_its_path_and_line():
    def doubled(x):
        return x * 2

    def f(x):
        y = lax.scan(lambda c, r: (jax.jit(doubled)(c) + r, None), x[0], x)[0]
        return lax.cond(y > 0, jnp.sin, jnp.cos, y)

    found = [(v.equation.primitive.name, v.site) for v in walked(f, jnp.ones(3, F32))]
    paths = {name: site.path for name, site in found}
    assert (paths["mul"], paths["sin"]) == ("scan/jit(doubled)", "cond")
    (line,) = [site.line for name, site in found if name == "mul"]
    assert line == f"{FILE}:{doubled.__code__.co_firstlineno + 1}"


def test_constant_stands_where_it_is_first_computed_with():
    table = jnp.asarray([0.1, 0.2], F32)

    def body(i, x):
        return x * table

    f = lambda x: lax.fori_loop(0, 3, body, jax.jit(lambda x: x + 1)(x))
    (site,) = [v.site for v in walked(f, jnp.ones(2, F32)) if v.constant is not None]
    assert site.line == f"{FILE}:{body.__code__.co_firstlineno + 1}"
    assert site.path.startswith("scan")


def test_program_without_such_primitives_is_expanded_to_itself():
    program = jax.make_jaxpr(jax.jit(lambda x: lax.map(jnp.sin, x)))(jnp.ones(2, F32))
    assert expanded(program) is program


def test_solve_of_lineax_is_expanded_once_and_computes_the_same():
    f = lambda a, b: jax.jit(lx.linear_solve)(lx.MatrixLinearOperator(a), b).value
    a, b = jnp.asarray([[2.0, 1.0], [0.0, 4.0]], F32), jnp.asarray([1.0, 2.0], F32)
    program = jax.make_jaxpr(f)(a, b)
    names = {v.equation.primitive.name for v in walk(program) if v.equation is not None}
    assert {"lu", "triangular_solve"} <= names and "linear_solve" not in names
    once = expanded(program)
    assert once is not program and expanded(once) is once
    found = jax.core.eval_jaxpr(once.jaxpr, once.consts, a, b)[0]
    np.testing.assert_array_equal(found, f(a, b))


def test_filter_primitive_that_cannot_be_traced_is_left_as_it_is():
    def fails(x):
        raise ValueError("no program")

    broken = eqxi.create_vprim(
        "broken",
        eqxi.filter_primitive_def(fails),
        eqxi.filter_primitive_def(lambda x: x),
        None,
        None,
    )
    names = [
        v.equation.primitive.name
        for v in walked(lambda x: eqxi.filter_primitive_bind(broken, x), jnp.ones(2, F32))
    ]
    assert names == ["broken"]


def test_arguments_and_results_of_control_flow():
    def f(x, k):
        y, rows = lax.scan(lambda c, r: (c * k, r), x[0], x)
        y = lax.while_loop(lambda c: c < k, lambda c: c + k, y)
        return lax.cond(y > 0, lambda y: y * k, lambda y: y, y), rows

    program = jax.make_jaxpr(f)(jnp.ones(3, F32), jnp.asarray(2.0, F32))
    for equation in program.eqns:
        for part in inside(equation):
            jaxpr = open_jaxpr(part.program)
            for argument, atom in zip(jaxpr.invars, part.operands, strict=True):
                assert argument.aval.dtype == atom.aval.dtype
            for result, atom in zip(jaxpr.outvars, part.results, strict=False):
                assert result.aval.dtype == atom.aval.dtype
            for result, argument in part.carried:
                assert jaxpr.outvars[result].aval.shape == jaxpr.invars[argument].aval.shape
    carried = {e.primitive.name: [len(p.carried) for p in inside(e)] for e in program.eqns}
    assert carried["scan"] == [1] and carried["while"] == [0, 1] and carried["cond"] == [0, 0]
