"""The extension points of JAX that reading and interpreting a program need, all in one place."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import jax
from jax.core import Tracer
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr as ClosedJaxpr
from jax.extend.core import Jaxpr as Jaxpr
from jax.extend.core import JaxprEqn as JaxprEqn
from jax.extend.core import Literal as Literal
from jax.extend.core import Primitive as Primitive
from jax.extend.core import Var as Var
from jax.extend.core import jaxpr_as_fun as jaxpr_as_fun
from jax.extend.core.primitives import closed_call_p as closed_call_p
from jax.extend.linear_util import wrap_init
from jax.interpreters.partial_eval import trace_to_jaxpr_dynamic

Atom: TypeAlias = Var | Literal
"""An operand of an equation: a variable, or a number written in its place."""

Value: TypeAlias = Any
"""What rules compute with: an array, or whatever the caller's rules return."""

Params: TypeAlias = dict[str, Any]
"""The parameters of an equation by name, such as the axes of a sum."""

_NAMES = {"pjit": "jit", "remat2": "remat", "checkpoint": "remat", "core_call": "call"}


def primitive_name(equation: JaxprEqn) -> str:
    """The name of the primitive of `equation`, the same in all versions of JAX.

    Example:
        >>> import jax
        >>> program = jax.make_jaxpr(jax.checkpoint(lambda x: 2 * x))(0.5)
        >>> primitive_name(program.jaxpr.eqns[0])
        'remat'
    """
    return _NAMES.get(equation.primitive.name, equation.primitive.name)


def bind_again(equation: JaxprEqn, values: Sequence[Value], params: Params) -> Any:
    """What the primitive of `equation` computes from other values, with its custom rules."""
    return equation.primitive.bind(*values, **equation.primitive.get_bind_params(params))


@contextlib.contextmanager
def context_of(equation: JaxprEqn) -> Iterator[None]:
    """Where new equations get the source line, name stack and settings of `equation`."""
    source = equation.source_info
    name_stack = source_info_util.current_name_stack() + source.name_stack
    user = source_info_util.user_context(source.traceback, name_stack=name_stack)
    with user, equation.ctx.manager:
        yield


def retraced(program: ClosedJaxpr | Jaxpr, f: Callable[..., list[Any]]) -> ClosedJaxpr:
    """The program of `f` for arguments of exactly the types that `program` takes."""
    jaxpr = open_jaxpr(program)
    types = [variable.aval for variable in jaxpr.invars]
    traced, _, constants = trace_to_jaxpr_dynamic(wrap_init(f, debug_info=jaxpr.debug_info), types)
    return ClosedJaxpr(traced, constants)


def open_jaxpr(program: ClosedJaxpr | Jaxpr) -> Jaxpr:
    """The program's equations and variables; from jax 0.12 on they contain the constants.

    Example:
        >>> import jax
        >>> program = jax.make_jaxpr(lambda x: 2 * x)(0.5)
        >>> [str(equation.primitive) for equation in open_jaxpr(program).eqns]
        ['mul']
    """
    return program.jaxpr if isinstance(program, ClosedJaxpr) else program


def with_constants_as_arguments(program: ClosedJaxpr) -> Jaxpr:
    """The program without its constants, which are its first arguments.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> table = jnp.ones(3, jnp.float32)
        >>> program = jax.make_jaxpr(lambda x: x * table)(2 * table)
        >>> len(program.jaxpr.invars), len(with_constants_as_arguments(program).invars)
        (1, 2)
    """
    jaxpr = program.jaxpr
    return jaxpr.replace(constvars=(), invars=[*jaxpr.constvars, *jaxpr.invars])


def constants_of(program: ClosedJaxpr | Jaxpr) -> Sequence[Any]:
    """The values of the program's constants: the arrays that the function closes over.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> table = jnp.ones(3, jnp.float32)
        >>> program = jax.make_jaxpr(lambda x: x * table)(table)
        >>> [constant.shape for constant in constants_of(program)]
        [(3,)]
    """
    return program.consts if isinstance(program, ClosedJaxpr) else ()


def closes_over_tracers(program: ClosedJaxpr) -> bool:
    """Whether a constant of `program` belongs to a trace around it."""
    return any(isinstance(constant, Tracer) for constant in program.consts)


def expansion(equation: JaxprEqn) -> ClosedJaxpr | None:
    """The program that an equation stands for, if its primitive is made of other primitives.

    These are `call_hi_primitive` and the primitives of `equinox.internal.filter_primitive_def`.
    None for other equations, and where the program cannot be traced.
    """
    primitive, params = equation.primitive, equation.params
    if primitive.name == "call_hi_primitive":
        expanded = _hi_expansion(params["_prim"])
    elif getattr(primitive.impl, "__module__", "") == "equinox.internal._primitive":
        expanded = functools.partial(primitive.impl, **params)
    else:
        return None
    try:
        return jax.make_jaxpr(expanded)(*[variable.aval for variable in equation.invars])
    except (TypeError, ValueError, NotImplementedError, jax.errors.JAXTypeError):
        return None


def _hi_expansion(primitive: Any) -> Callable[..., list[Any]]:
    def expanded(*leaves: Value) -> list[Any]:
        values = primitive.expand(*primitive.in_tree.unflatten(leaves))
        return primitive.out_tree.flatten_up_to(values)

    return expanded


def scan_sizes(params: Params) -> tuple[int, int]:
    """The numbers of constants and of carried values of a scan."""
    if "num_carry" in params:
        return params["num_consts"], params["num_carry"]
    constants, carried, _ = params["ft_in"].unpack()  # From jax 0.12 on.
    return len(constants), len(carried)


def variables(atoms: Sequence[Atom]) -> list[Var]:
    """The operands or results of an equation that are variables, not literals.

    Example:
        >>> import jax
        >>> [equation] = jax.make_jaxpr(lambda x: 2 * x)(0.5).jaxpr.eqns
        >>> len(equation.invars), len(variables(equation.invars))
        (2, 1)
    """
    return [atom for atom in atoms if not isinstance(atom, Literal)]
