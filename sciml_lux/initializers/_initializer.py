"""Initializer: a function `(key, shape, dtype)` with options that can be set beforehand."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import jax

from ..core import StaticValue
from ..core.internal import check_integer, check_number
from ..precision.internal import python_numbers, require_exact_dtype


class Initializer(StaticValue):
    """An initialiser as a value: equal by name and options, picklable, printed as it was written.

    Called with `(key, shape, dtype)` it draws an array; called with options only, it returns an
    initialiser with these options set. NumPy numbers become Python numbers, which have no dtype of
    their own.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import kaiming_uniform
        >>> init = kaiming_uniform(gain=1.0)
        >>> init, init == kaiming_uniform(gain=1.0)
        (kaiming_uniform(gain=1.0), True)
        >>> init(jax.random.key(0), (3, 2), jnp.float32).shape
        (3, 2)
    """

    function: Callable[..., jax.Array]
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def __name__(self) -> str:
        return repr(self) if self.options else self.function.__name__

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Draw with `(key, shape, dtype)`, or set options."""
        merged = dict(self.options)
        merged |= {name: python_numbers(value) for name, value in options.items()}
        unknown = set(options) - set(_options(self.function))
        if unknown:
            raise TypeError(
                f"`{self.function.__name__}` has no option {', '.join(sorted(unknown))}; it has "
                f"{', '.join(_options(self.function)) or 'none'}."
            )
        for name, value in options.items():
            _check_option(self.function, name, value)
        if not arguments:
            return Initializer(self.function, tuple(sorted(merged.items())))
        if len(arguments) > 2:
            require_exact_dtype(arguments[2], f"`{self.function.__name__}`: the dtype asked for")
        return self.function(*arguments, **merged)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options)
        return f"{self.function.__name__}({options})" if options else self.function.__name__

    def __reduce__(self) -> tuple:
        # The module has the Initializer under the function's name, so pickle looks it up there.
        return (_named, (self.function.__module__, self.function.__name__, self.options))


def _options(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)[3:]


def _check_option(function: Callable[..., Any], name: str, value: Any) -> None:
    """Raise unless `value` is a number where the signature says so; arrays pass unchecked."""
    wanted = inspect.signature(function).parameters[name].annotation
    if wanted is int:
        check_integer(function.__name__, name, value)
    elif wanted is float and not isinstance(value, jax.Array):
        check_number(function.__name__, name, value)


def _named(module: str, name: str, options: tuple) -> Initializer:
    return Initializer(getattr(importlib.import_module(module), name).function, options)


def initializer(function: Callable[..., jax.Array]) -> Initializer:
    """Make an `Initializer` of a function `(key, shape, dtype, **options)`; used as a decorator.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> @initializer
        ... def constant(key, shape, dtype, *, value: float = 1.0):
        ...     return jnp.full(shape, value, dtype)
        >>> twos = constant(value=2.0)
        >>> twos, twos(jax.random.key(0), (2,), jnp.float32).tolist()
        (constant(value=2.0), [2.0, 2.0])
    """
    return Initializer(function)
