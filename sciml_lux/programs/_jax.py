"""The extension points of JAX that reading and interpreting a program need, all in one place."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax.core import Tracer
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr as ClosedJaxpr
from jax.extend.core import Jaxpr as Jaxpr
from jax.extend.core import JaxprEqn as JaxprEqn
from jax.extend.core import Literal as Literal
from jax.extend.core import Primitive as Primitive
from jax.extend.core import jaxpr_as_fun as jaxpr_as_fun
from jax.extend.linear_util import wrap_init
from jax.interpreters.partial_eval import trace_to_jaxpr_dynamic

_NAMES = {"pjit": "jit", "remat2": "remat", "checkpoint": "remat", "core_call": "call"}


def primitive_name(equation: JaxprEqn) -> str:
    """The primitive's name, one for all versions of JAX."""
    return _NAMES.get(equation.primitive.name, equation.primitive.name)


def bind_again(equation: JaxprEqn, values: Sequence[Any], params: dict[str, Any]) -> Any:
    """What the primitive of `equation` computes of other values, with its custom rules."""
    return equation.primitive.bind(*values, **equation.primitive.get_bind_params(params))


@contextlib.contextmanager
def context_of(equation: JaxprEqn) -> Iterator[None]:
    """Where equations made anew get the source line, name stack and settings of `equation`."""
    source = equation.source_info
    name_stack = source_info_util.current_name_stack() + source.name_stack
    user = source_info_util.user_context(source.traceback, name_stack=name_stack)
    with user, equation.ctx.manager:
        yield


def retraced(program: ClosedJaxpr | Jaxpr, f: Callable[..., list[Any]]) -> ClosedJaxpr:
    """The program of `f` of arguments of the very types that `program` has."""
    jaxpr = open_jaxpr(program)
    types = [variable.aval for variable in jaxpr.invars]
    traced, _, constants = trace_to_jaxpr_dynamic(wrap_init(f, debug_info=jaxpr.debug_info), types)
    return ClosedJaxpr(traced, constants)


def open_jaxpr(program: ClosedJaxpr | Jaxpr) -> Jaxpr:
    """The program without its constants."""
    return program.jaxpr if isinstance(program, ClosedJaxpr) else program


def constants_of(program: ClosedJaxpr | Jaxpr) -> Sequence[Any]:
    """The values of the program's constants."""
    return program.consts if isinstance(program, ClosedJaxpr) else ()


def closes_over_tracers(program: ClosedJaxpr) -> bool:
    """Whether a constant of `program` belongs to a trace around it."""
    return any(isinstance(constant, Tracer) for constant in program.consts)


def expansion(equation: JaxprEqn) -> ClosedJaxpr | None:
    """The program that a `call_hi_primitive` stands for; None for other equations."""
    primitive = equation.params.get("_prim")
    if equation.primitive.name != "call_hi_primitive" or primitive is None:
        return None

    def expanded(*leaves: Any) -> list[Any]:
        values = primitive.expand(*primitive.in_tree.unflatten(leaves))
        return primitive.out_tree.flatten_up_to(values)

    return jax.make_jaxpr(expanded)(*[variable.aval for variable in equation.invars])
