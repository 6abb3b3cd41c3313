"""Walking a traced program: every equation of every sub-program, with its path and source line."""

import contextlib
import functools
import itertools
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_JAX = os.path.dirname(os.path.abspath(jax.__file__))
_SITE = os.path.dirname(_JAX)
_LIBRARIES = ("jax", "jaxlib", "equinox", "diffrax", "optax", "lineax", "optimistix", "jaxtyping")
_SKIPPED = (
    *(os.path.join(_SITE, name) + os.sep for name in _LIBRARIES),
    os.path.join(_HERE, "precision") + os.sep,
    os.path.join(_HERE, "core") + os.sep,
    # Decorators of JAX pass through these.
    contextlib.__file__,
    functools.__file__,
    "<string>",
)


class Site(NamedTuple):
    """Where an equation stands: enclosing programs, the user's line, and the library's."""

    path: str
    line: str
    library: str


class Visit(NamedTuple):
    """An equation, or a constant of a program, and where it stands."""

    equation: JaxprEqn | None
    constant: Any
    site: Site


def visits(program: ClosedJaxpr) -> Iterator[Visit]:
    """Every equation and constant of `program` and of all programs inside it."""
    yield from _closed(program, Site("", "?", ""))


def _closed(program: ClosedJaxpr, site: Site) -> Iterator[Visit]:
    for variable, constant in zip(program.jaxpr.constvars, program.consts, strict=True):
        users = (e for e in program.jaxpr.eqns if any(v is variable for v in e.invars))
        user = next(users, None)
        yield Visit(None, constant, site if user is None else _site(user, site))
    yield from _open(program.jaxpr, site)


def _open(jaxpr: Jaxpr, site: Site) -> Iterator[Visit]:
    for equation in jaxpr.eqns:
        here = _site(equation, site)
        yield Visit(equation, None, here)
        inner = here._replace(path="/".join(filter(None, [site.path, _name(equation)])))
        for part in _programs(equation.params):
            walk = _closed if isinstance(part, ClosedJaxpr) else _open
            yield from walk(part, inner)  # pyright: ignore[reportArgumentType]
    for result in jaxpr.outvars:
        if isinstance(result, Literal):
            yield Visit(None, result.val, site)


def _site(equation: JaxprEqn, around: Site) -> Site:
    line, library = _lines(equation)
    return Site(around.path, around.line if line == "?" else line, library or around.library)


def has_programs(equation: JaxprEqn) -> bool:
    """Whether an equation has programs inside."""
    return next(_programs(equation.params), None) is not None


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
    primitive = {"pjit": "jit", "remat2": "remat", "checkpoint": "remat"}.get(
        equation.primitive.name, equation.primitive.name
    )
    name = equation.params.get("name")
    if primitive == "jit" and name and name != "<lambda>":
        return f"jit({name})"
    return primitive


def _lines(equation: JaxprEqn) -> tuple[str, str]:
    """The user's line and the line of this library, or "?" and "".

    The traceback of an equation is no stable interface of JAX: without it the audit still finds
    everything and only says less of where.
    """
    try:
        frames = equation.source_info.traceback.frames  # pyright: ignore[reportOptionalMemberAccess]
    except AttributeError:
        return "?", ""
    user, library = "?", ""
    for frame in frames:
        file = frame.file_name
        if file.startswith(_SKIPPED):
            continue
        text = f"{os.path.relpath(file) if os.path.isabs(file) else file}:{frame.line_num}"
        if file.startswith(_HERE + os.sep):
            library = library or text
            continue
        user = text
        break
    return user, library
