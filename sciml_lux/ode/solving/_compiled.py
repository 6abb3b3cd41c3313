"""Compiled programs of functions, freed with them."""

import functools
import types
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
from jaxtyping import PyTree

# By the address of a function, or of the object that a method belongs to: what was compiled for it.
_programs: dict[int, dict[Hashable, Any]] = {}


def compiled_for(
    functions: Sequence[Callable[..., Any]], key: Hashable, build: Callable[..., Any]
) -> Any:
    """`build(functions, key, ...)` as by `jax.jit`, kept while all `functions` live.

    The last argument is static. Functions that Python cannot refer to weakly are compiled at each
    call.

    Args:
        functions: are looked up by identity; a method by its object and function.
        key: what else the program depends on.
        build: the program, a function of `functions`, `key` and its arguments.
    """
    owners, bodies = zip(*map(_parts, functions), strict=True)
    first, *others = map(id, owners)
    place = (bodies, tuple(others), key)
    if place in _programs.get(first, {}):
        return _programs[first][place]
    try:
        # An entry has these, so that they are gone with it, and speak up while it is there.
        references = [weakref.ref(o, functools.partial(_drop, first, place)) for o in owners]
    except TypeError:
        return _jitted(lambda *arguments: build(functions, key, *arguments))

    # Not the functions themselves: their own programs would keep them alive.
    def built(*arguments: PyTree) -> Any:
        alive = [_joined(r(), own) for r, own in zip(references, bodies, strict=True)]
        return build(alive, key, *arguments)

    program = _programs.setdefault(first, {})[place] = _jitted(built)
    return program


def _parts(function: Callable[..., Any]) -> tuple[Any, tuple[Any, ...]]:
    """The object that lives as long as the function, and what it calls with that.

    Of a method that is its object and its function; of a method of a method, two functions.
    """
    owner, bodies = function, ()
    while isinstance(owner, types.MethodType):
        owner, bodies = owner.__self__, (owner.__func__, *bodies)
    return owner, bodies


def _joined(owner: Any, bodies: tuple[Any, ...]) -> Any:
    for body in bodies:
        owner = types.MethodType(body, owner)
    return owner


def _drop(first: int, place: Hashable, _: Any) -> None:
    programs = _programs.get(first, {})
    programs.pop(place, None)
    if not programs:
        _programs.pop(first, None)


def _jitted(function: Callable[..., Any]) -> Any:
    return jax.jit(function, static_argnums=5)
