"""op: what all functions of arrays do with their data before they compute.

A call goes straight to the plain function of `jax.numpy` that is decorated: there is no `jit` in
between, so that `print` and the debugger see values. It stays within reach as `__wrapped__`.

A kernel of an op is reached through the plain function as well: `kernels/README.md`. Nothing in an
op, or in the layers that call it, changes for that.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

from ..precision.internal import (
    is_plainly_exact,
    own_memory,
    require_exact_floats,
    require_exact_numbers,
    x64_enabled,
)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
# The index of an argument that is given by its name only.
_NOWHERE = sys.maxsize - 1


def op(*names: str) -> Callable[[Callable[Arguments, Result]], Callable[Arguments, Result]]:
    """A decorator: a function of arrays, whose arguments `names` are data.

    Data are arrays, numbers, None, or trees of them. JAX arrays pass after a quick look. NumPy
    arrays are refused where JAX would change them, and copied, so that what is written to their
    memory after the call changes nothing. Integers that JAX would cut, since x64 is off, pass if
    there are floats among the data: `promote` gives them their value in that dtype.

    Args:
        names: the arguments that are data. Settings are not: NumPy scalars given for them stand
            for Python numbers.

    Raises:
        TypeError: at a call; names the function, the argument, and the switch or another remedy.

    Example:
        >>> import jax, numpy as np
        >>> @op("x")
        ... def double(x):
        ...     return 2 * x
        >>> with jax.enable_x64(False):
        ...     double(np.ones(2))
        Traceback (most recent call last):
        ...
        TypeError: `double`: `x`, a NumPy array, is float64, but jax_enable_x64 is off ...
    """

    def decorate(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        places = _places(function, names)
        single = [(name, place.start) for name, place in places.items() if place.stop is not None]
        # The index of the first of `*args`, if they are data; otherwise beyond all arguments.
        rest = min(
            [place.start for place in places.values() if place.stop is None], default=_NOWHERE
        )

        @functools.wraps(function)
        def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            for name, index in single:
                value = args[index] if index < len(args) else kwargs.get(name)
                if not is_plainly_exact(value):
                    return _called_with_own(function, places, args, kwargs)
            for value in args[rest:]:
                if not is_plainly_exact(value):
                    return _called_with_own(function, places, args, kwargs)
            return function(*args, **kwargs)

        return called

    return decorate


def _places(function: Callable[..., Any], names: tuple[str, ...]) -> dict[str, slice]:
    """The arguments as slices of those given by position; without an end for `*args`."""
    parameters = inspect.signature(function).parameters
    order, places = list(parameters), {}
    for name in names:
        index, kind = order.index(name), parameters[name].kind
        start = _NOWHERE if kind is inspect.Parameter.KEYWORD_ONLY else index
        many = kind is inspect.Parameter.VAR_POSITIONAL
        places[name] = slice(start, None if many else start + 1)
    return places


def _called_with_own(
    function: Callable[..., Result],
    places: dict[str, slice],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Result:
    """What `function` returns for the arguments, with NumPy data copied."""
    found = {name: args[place] or (kwargs.get(name),) for name, place in places.items()}
    has_floats = x64_enabled() or any(map(_is_inexact, jax.tree.leaves(list(found.values()))))
    require = require_exact_floats if has_floats else require_exact_numbers
    positional, named = list(args), dict(kwargs)
    for name, place in places.items():
        many = place.stop is None
        require(found[name] if many else found[name][0], f"`{function.__name__}`: `{name}`")
        own = [own_memory(value) for value in found[name]]
        if args[place]:
            positional[place] = own
        elif name in kwargs:
            named[name] = own[0]
    return function(*positional, **named)


def _is_inexact(leaf: Any) -> bool:
    return hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)
