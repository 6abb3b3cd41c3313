"""The argument of functions that order numbers: a real number, not a complex one."""

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._op import op

Options = ParamSpec("Options")


def number_as_array(x: Any) -> Any:
    """`x`; a Python number as an array of the default float that takes the dtype of others."""
    return jnp.asarray(float(x)) if is_number(x) else x


def require_float(name: str, x: Any) -> None:
    """Raise if `x` is an array without a floating dtype, which its function needs.

    Raises:
        TypeError: names the function and the dtype.
    """
    dtype = getattr(x, "dtype", None)
    if dtype is not None and not jnp.issubdtype(dtype, jnp.inexact):
        raise TypeError(
            f"`{name}` expects `x` to be floating, got {dtype}. Convert it: x.astype(dtype)."
        )


def is_real_float(x: Any) -> bool:
    """Whether `x` is an array of real floats."""
    return hasattr(x, "dtype") and jnp.issubdtype(x.dtype, jnp.floating)


def of_real_floats(
    function: Callable[Concatenate[Array, Options], Array],
) -> Callable[Concatenate[Array, Options], Array]:
    """`of_real_numbers`, without integers: what the function does depends on the float dtype.

    Raises:
        TypeError: at a call; as with `of_real_numbers`, or `x` is an array of integers.
    """

    @functools.wraps(function)
    def checked(x: Array, *args: Options.args, **kwargs: Options.kwargs) -> Array:
        require_float(function.__name__, x)
        return function(x, *args, **kwargs)

    return of_real_numbers(checked)


def is_number(x: Any) -> bool:
    """Whether `x` is a real number of Python; NumPy's have a dtype."""
    return isinstance(x, int | float) and not isinstance(x, np.generic)


def of_real_numbers(
    function: Callable[Concatenate[Array, Options], Array],
) -> Callable[Concatenate[Array, Options], Array]:
    """A decorator: a function of `x`, an array of real numbers or a real Python number.

    Raises:
        TypeError: at a call; `x` is complex, is neither an array nor a number, or is refused by
            `op`.
    """

    @functools.wraps(function)
    def checked(x: Any, *args: Options.args, **kwargs: Options.kwargs) -> Array:
        dtype = getattr(x, "dtype", None)
        if getattr(dtype, "kind", None) == "c" or isinstance(x, complex):
            raise TypeError(
                f"`{function.__name__}` expects `x` to be real, got "
                f"{getattr(x, 'dtype', 'complex')}: complex numbers have no order. Apply it to "
                "x.real and x.imag, or to abs(x)."
            )
        if dtype is None and not is_number(x):
            raise TypeError(
                f"`{function.__name__}` expects `x` to be an array or a number, got "
                f"{type(x).__name__}. Convert it: jnp.asarray(x, dtype)."
            )
        return function(number_as_array(x), *args, **kwargs)

    return op("x")(checked)
