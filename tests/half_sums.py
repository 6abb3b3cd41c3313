"""Which equations of a program add up float16 or bfloat16, and ways to run it.

XLA may or may not widen such a sum, by shape, level of optimisation and platform, so that it is
read off the program, and what is computed is computed in each way.
"""

import functools
import math

import jax
import pytest
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from sciml_lux.programs._jax import scan_sizes
from tests.conftest import HURRIED, ON_CPU, slow

HALF = ("float16", "bfloat16")
# `reduce_sum` and the carries of loops are looked at more closely. A `dot_general` and a
# convolution accumulate in float32 everywhere; tests/test_half_sums.py measures it.
SUMS = (
    "cumsum",
    "reduce_window",
    "reduce_window_sum",
    "scatter-add",
    "scatter_add",
    "select_and_scatter_add",
)
# What may be computed in float32 by an entry that is not listed to widen: entries are moved, or
# rounded from one operation that float32 holds to more than twice the digits.
MOVES = (
    "add",
    "broadcast_in_dim",
    "concatenate",
    "convert_element_type",
    "copy",
    "div",
    "dynamic_slice",
    "expand_dims",
    "gather",
    "mul",
    "pad",
    "reshape",
    "rev",
    "scan",
    "select_n",
    "slice",
    "squeeze",
    "sub",
    "transpose",
)


def equations(program):
    """Every equation of a program and of the programs inside."""
    for equation in program.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: isinstance(p, ClosedJaxpr | Jaxpr)
        ):
            if isinstance(inner, ClosedJaxpr | Jaxpr):
                yield from equations(getattr(inner, "jaxpr", inner))


def sums_in_half(program):
    """The names of the sums over half precision in a program."""
    return [name for e in equations(program.jaxpr) if (name := _sum_in_half(e))]


def computed_in_float32(program):
    """The names of what computes in float32, in a program of half precision."""
    names = {e.primitive.name for e in equations(program.jaxpr) if _is_of(e.outvars, ("float32",))}
    return names - {*MOVES, "jit", "pjit", "remat", "checkpoint", "remat2", "closed_call"}


def _is_of(variables, dtypes):
    return any(getattr(v.aval, "dtype", None) in dtypes for v in variables)


def _sum_in_half(equation):
    name, parameters = equation.primitive.name, equation.params
    if not _is_of(equation.outvars, HALF):
        return None
    if name == "reduce_sum":
        shape = equation.invars[0].aval.shape
        return name if math.prod(shape[axis] for axis in parameters["axes"]) > 1 else None
    if name == "scan":
        body, (first, count) = parameters["jaxpr"].jaxpr, scan_sizes(parameters)
        carries = body.invars[first : first + count]
    elif name == "while":
        body = parameters["body_jaxpr"].jaxpr
        carries = body.invars[parameters["body_nconsts"] :]
    else:
        return name if name in SUMS else None
    pairs = zip(carries, body.outvars, strict=False)
    return f"{name} carry" if any(_adds_to(body, start, end) for start, end in pairs) else None


def _adds_to(body, start, end):
    """Whether the carry `end` is `start` with something added."""
    if end is start or isinstance(end, Literal) or not _is_of([end], HALF):
        return False
    made_by = {v: e for e in body.eqns for v in e.outvars}
    todo = [end]
    while todo:
        equation = made_by.get(todo.pop())
        if equation is None or equation.primitive.name not in ("add", "add_any"):
            continue
        operands = [v for v in equation.invars if not isinstance(v, Literal)]
        if any(v is start for v in operands):
            return True
        todo += operands
    return False


# Left alone, XLA keeps more digits of an intermediate than its dtype has: other terms, not the sum.
ROUNDING = {"xla_allow_excess_precision": False}
UNOPTIMISED = {**ROUNDING, "xla_backend_optimization_level": 0}
if ON_CPU and jax.__version_info__ < (0, 12):  # Newer XLA refuses the name.
    UNOPTIMISED["xla_cpu_use_fusion_emitters"] = False


def eager(f, *arguments):
    return f(*arguments)


def compiled(f, *arguments):
    return jax.jit(f)(*arguments)


def rounding(f, *arguments, options=ROUNDING):
    return program(f, *arguments, options=options)(*arguments)


def program(f, *arguments, options=ROUNDING):
    """`f` compiled with these options for arguments like these."""
    return jax.jit(f).lower(*arguments).compile(compiler_options=options)


unoptimised = functools.partial(rounding, options=UNOPTIMISED)


def way(run, name):
    """A parameter of a test; in a hurry XLA makes of the other ways what it makes of the last."""
    return pytest.param(run, id=name, marks=[slow] * (HURRIED and name != "unoptimised"))


WAYS = [way(eager, "eager"), way(compiled, "jit"), way(unoptimised, "unoptimised")]
