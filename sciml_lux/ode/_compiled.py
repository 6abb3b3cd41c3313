"""Compiled programs of functions, freed with them."""

import types
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import jax
from jaxtyping import PyTree

# By the address of a function, or of the object that a method belongs to: what was compiled for it.
_programs: dict[int, dict[Hashable, Any]] = {}


def compiled_for(function: Callable[..., Any], key: Hashable, build: Callable[..., Any]) -> Any:
    """`build(function, key, ...)` as by `jax.jit`, kept while `function` lives.

    The last argument is static. A function that Python cannot refer to weakly is compiled at each
    call.

    Args:
        function: is looked up by identity; a method by its object and function.
        key: what else the program depends on.
        build: the program, a function of `function`, `key` and its arguments.
    """
    is_method = isinstance(function, types.MethodType)
    owner, body = (function.__self__, function.__func__) if is_method else (function, None)
    try:
        reference = weakref.ref(owner)
    except TypeError:
        return _jitted(lambda *arguments: build(function, key, *arguments))

    # Not `function` itself: its own programs would keep it alive.
    def built(*arguments: PyTree) -> Any:
        alive: Any = reference()
        return build(alive if body is None else types.MethodType(body, alive), key, *arguments)

    if id(owner) not in _programs:
        _programs[id(owner)] = {}
        weakref.finalize(owner, _programs.pop, id(owner), None).atexit = False
    programs = _programs[id(owner)]
    if (body, key) not in programs:
        programs[body, key] = _jitted(built)
    return programs[body, key]


def _jitted(function: Callable[..., Any]) -> Any:
    return jax.jit(function, static_argnums=5)
