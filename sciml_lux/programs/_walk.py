"""walk: every equation of a traced program and of the programs inside it."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from ._expand import expanded
from ._inside import inside
from ._jax import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var, open_jaxpr, primitive_name
from ._site import Site


class Visit(NamedTuple):
    """An equation or a constant of a program, and where it is.

    Attributes:
        equation: the equation; None for a constant.
        constant: the value of the constant; None for an equation.
        site: where it is.

    Example:
        >>> import jax
        >>> [visit] = walk(jax.make_jaxpr(lambda x: 2 * x)(0.5))
        >>> visit.equation.primitive.name, visit.constant, visit.site.path
        ('mul', None, '')
    """

    equation: JaxprEqn | None
    constant: Any
    site: Site


def walk(program: ClosedJaxpr) -> Iterator[Visit]:
    """Every equation and constant of `program` and of all programs inside it.

    A primitive that is made of others is walked as a call of its own program, as in `expanded`.

    Args:
        program: what `jax.make_jaxpr` returns.

    Returns:
        A `Visit` for each, an equation before the programs inside it. An equation without a
        traceback has the line of the call around it, "?" at the top.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> program = jax.make_jaxpr(jax.jit(lambda x: jnp.sin(x) + 1))(0.5)
        >>> [(v.equation.primitive.name, v.site.path) for v in walk(program)]
        [('jit', ''), ('sin', 'jit'), ('add', 'jit')]
    """
    yield from _closed(expanded(program), Site())


def has_programs(equation: JaxprEqn) -> bool:
    """Whether an equation has programs inside.

    Example:
        >>> import jax
        >>> [call] = jax.make_jaxpr(jax.jit(lambda x: 2 * x))(0.5).jaxpr.eqns
        >>> has_programs(call)
        True
    """
    return next(_programs(equation.params), None) is not None


def _closed(program: ClosedJaxpr, site: Site) -> Iterator[Visit]:
    for variable, constant in zip(program.jaxpr.constvars, program.consts, strict=True):
        yield Visit(None, constant, _use(variable, program.jaxpr, site) or site)
    yield from _open(program.jaxpr, site)


def _use(variable: Var, jaxpr: Jaxpr, site: Site) -> Site | None:
    """Where `variable` is first used in a computation, inside any loop or call; None if nowhere."""
    for equation in jaxpr.eqns:
        if not any(atom is variable for atom in equation.invars):
            continue
        here, parts = site.of(equation), list(inside(equation))
        within = here.inside(_name(equation))
        for part in parts:
            inner = open_jaxpr(part.program)
            for argument, atom in zip(inner.invars, part.operands, strict=True):
                if atom is variable and (use := _use(argument, inner, within)):
                    return use
        if not parts:
            return here
    return None


def _open(jaxpr: Jaxpr, site: Site) -> Iterator[Visit]:
    for equation in jaxpr.eqns:
        here = site.of(equation)
        yield Visit(equation, None, here)
        inner = here.inside(_name(equation))
        for part in _programs(equation.params):
            inside = _closed if isinstance(part, ClosedJaxpr) else _open
            yield from inside(part, inner)  # pyright: ignore[reportArgumentType]
    for result in jaxpr.outvars:
        if isinstance(result, Literal):
            yield Visit(None, result.val, site)


def _programs(value: object) -> Iterator[ClosedJaxpr | Jaxpr]:
    """Programs in a parameter of an equation, at any depth of tuples, lists and dicts."""
    if isinstance(value, ClosedJaxpr | Jaxpr):
        yield value
    elif isinstance(value, tuple | list):
        yield from itertools.chain.from_iterable(map(_programs, value))
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(_programs, value.values()))


def _name(equation: JaxprEqn) -> str:
    """The primitive, with the function's name where it has one of its own."""
    primitive = primitive_name(equation)
    name = equation.params.get("name")
    if primitive == "jit" and name and name != "<lambda>":
        return f"jit({name})"
    return name if primitive in ("closed_call", "eval_jaxpr") and name else primitive
