"""walk: every equation of a traced program and of the programs inside it."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from ._expand import expanded
from ._inside import inside
from ._jax import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, open_jaxpr, primitive_name
from ._site import Site, site_of


class Visit(NamedTuple):
    """An equation, or a constant of a program, and where it stands."""

    equation: JaxprEqn | None
    constant: Any
    site: Site


def walk(program: ClosedJaxpr) -> Iterator[Visit]:
    """Every equation and constant of `program` and of all programs inside it.

    Primitives that are made of others are walked as calls of what they are made of, as `expanded`
    writes them.

    Args:
        program: what `jax.make_jaxpr` returns.

    Returns:
        A `Visit` for each, an equation before the programs inside it. Equations of which JAX
        keeps no traceback have the line of the call around them, "?" at the top.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> program = jax.make_jaxpr(jax.jit(lambda x: jnp.sin(x) + 1))(0.5)
        >>> [(v.equation.primitive.name, v.site.path) for v in walk(program)]
        [('jit', ''), ('sin', 'jit'), ('add', 'jit')]
    """
    yield from _closed(expanded(program), Site("", "?", ""))


def has_programs(equation: JaxprEqn) -> bool:
    """Whether an equation has programs inside."""
    return next(_programs(equation.params), None) is not None


def _closed(program: ClosedJaxpr, site: Site) -> Iterator[Visit]:
    for variable, constant in zip(program.jaxpr.constvars, program.consts, strict=True):
        yield Visit(None, constant, _use(variable, program.jaxpr, site) or site)
    yield from _open(program.jaxpr, site)


def _use(variable: Any, jaxpr: Jaxpr, site: Site) -> Site | None:
    """Where `variable` is first computed with, in whatever loop or call; None if nowhere."""
    for equation in jaxpr.eqns:
        if not any(atom is variable for atom in equation.invars):
            continue
        here, parts = site_of(equation, site), list(inside(equation))
        within = here._replace(path="/".join(filter(None, [site.path, _name(equation)])))
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
        here = site_of(equation, site)
        yield Visit(equation, None, here)
        inner = here._replace(path="/".join(filter(None, [site.path, _name(equation)])))
        for part in _programs(equation.params):
            inside = _closed if isinstance(part, ClosedJaxpr) else _open
            yield from inside(part, inner)  # pyright: ignore[reportArgumentType]
    for result in jaxpr.outvars:
        if isinstance(result, Literal):
            yield Visit(None, result.val, site)


def _programs(value: Any) -> Iterator[ClosedJaxpr | Jaxpr]:
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
