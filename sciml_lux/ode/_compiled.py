"""Compiled programs of functions, freed with them."""

import types
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import jax

# By a function, or the object that a method belongs to: what was compiled for it.
_programs: weakref.WeakKeyDictionary[Any, dict[Hashable, Any]] = weakref.WeakKeyDictionary()


def compiled_for(function: Callable[..., Any], key: Hashable, build: Callable[..., Any]) -> Any:
    """`build(function, key, ...)` as by `jax.jit`, kept while `function` lives.

    The last argument is static. A function that Python cannot refer to weakly, or that has no hash,
    is compiled at each call.

    Args:
        function: by what is looked up: functions by identity, objects by their `==`, methods by
            their object.
        key: what else the program depends on.
        build: the program, a function of `function`, `key` and its arguments.
    """
    body = getattr(function, "__func__", None)
    owner = function if body is None else function.__self__  # pyright: ignore[reportFunctionMemberAccess]
    try:
        reference, programs = weakref.ref(owner), _programs.setdefault(owner, {})
    except TypeError:
        return _jitted(lambda *arguments: build(function, key, *arguments))

    # Not `function` itself: its own programs would keep it alive.
    def built(*arguments: Any) -> Any:
        alive = reference()
        return build(alive if body is None else types.MethodType(body, alive), key, *arguments)

    if (body, key) not in programs:
        programs[body, key] = _jitted(built)
    return programs[body, key]


def _jitted(function: Callable[..., Any]) -> Any:
    return jax.jit(function, static_argnums=5)
