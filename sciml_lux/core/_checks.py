"""Checks of options: each raises with the subject, what was expected, what was got and a remedy."""

import math
from collections.abc import Iterable
from typing import TypeGuard

import numpy as np


def is_integer(value: object) -> TypeGuard[int]:
    """Whether `value` is an integer of Python or NumPy; True and False are not.

    Example:
        >>> is_integer(3), is_integer(3.0), is_integer(True)
        (True, False, False)
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a real number of Python or NumPy; True and False are not.

    Example:
        >>> is_number(3), is_number(3.0), is_number(True), is_number("3")
        (True, True, False, False)
    """
    return is_integer(value) or isinstance(value, float | np.floating)


def check_integer(
    owner: str, name: str, value: object, *, least: int | None = None, remedy: str = ""
) -> None:
    """Raise unless `value` is an integer, of at least `least`.

    Args:
        owner: the layer, function or class that has the option, for the message.
        name: the name of the option.
        value: what was given.
        least: the smallest allowed value.
        remedy: a sentence that ends the message.

    Raises:
        TypeError: it is not an integer; True and False are not.
        ValueError: it is below `least`.

    Example:
        >>> check_integer("Dense", "out_dims", 0, least=1)
        Traceback (most recent call last):
        ...
        ValueError: `Dense` expects `out_dims` to be an integer of at least 1, got 0.
    """
    wanted = "an integer" if least is None else f"an integer of at least {least}"
    if not is_integer(value):
        raise TypeError(_message(owner, name, wanted, value, remedy))
    if least is not None and value < least:
        raise ValueError(_message(owner, name, wanted, value, remedy))


def check_number(
    owner: str,
    name: str,
    value: object,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    remedy: str = "",
) -> None:
    """Raise unless `value` is a real number within the limits.

    Args:
        owner: the layer, function or class that has the option, for the message.
        name: the name of the option.
        value: what was given.
        least: the smallest allowed value.
        most: the greatest allowed value; only with `least`.
        above: what the value must exceed.
        remedy: a sentence that ends the message.

    Raises:
        TypeError: it is not a number; True, False and arrays are not.
        ValueError: it is out of range, or NaN.

    Example:
        >>> check_number("Dropout", "p", 1.5, least=0, most=1)
        Traceback (most recent call last):
        ...
        ValueError: `Dropout` expects `p` to be a number in [0, 1], got 1.5.
    """
    wanted = "a number"
    if least is not None:
        wanted += f" of at least {least}" if most is None else f" in [{least}, {most}]"
    if above is not None:
        wanted += f" above {above}"
    if not is_number(value):
        raise TypeError(_message(owner, name, wanted, value, remedy))
    inside = (
        (is_integer(value) or not math.isnan(value))  # A long integer does not fit in any float.
        and (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
    )
    if not inside:
        raise ValueError(_message(owner, name, wanted, value, remedy))


def check_choice(
    owner: str, name: str, value: object, choices: Iterable[object], *, remedy: str = ""
) -> None:
    """Raise unless `value` is one of `choices`, in value and type.

    Args:
        owner: the layer, function or class that has the option, for the message.
        name: the name of the option.
        value: what was given.
        choices: the allowed values.
        remedy: a sentence that ends the message.

    Raises:
        ValueError: it is none of them.

    Example:
        >>> check_choice("Upsample", "method", "cubic", ("nearest", "bilinear"))
        Traceback (most recent call last):
        ...
        ValueError: `Upsample` expects `method` to be "nearest" or "bilinear", got 'cubic'.
    """
    choices = tuple(choices)
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        *first, last = (f'"{c}"' if isinstance(c, str) else repr(c) for c in choices)
        wanted = f"{', '.join(first)} or {last}" if first else last
        raise ValueError(_message(owner, name, wanted, value, remedy))


def check_function(
    owner: str, name: str, value: object, *, such_as: str = "", remedy: str = ""
) -> None:
    """Raise unless `value` can be called.

    Args:
        owner: the layer, function or class that has the option, for the message.
        name: the name of the option.
        value: what was given.
        such_as: an example of an allowed value.
        remedy: a sentence that ends the message.

    Raises:
        TypeError: it cannot be called.

    Example:
        >>> check_function("Dense", "activation", "tanh", such_as="nn.tanh")
        Traceback (most recent call last):
        ...
        TypeError: `Dense` expects `activation` to be a function such as nn.tanh, got 'tanh'.
    """
    if not callable(value):
        wanted = f"a function such as {such_as}" if such_as else "a function"
        raise TypeError(_message(owner, name, wanted, value, remedy))


def _message(owner: str, name: str, wanted: str, value: object, remedy: str) -> str:
    text = f"`{owner}` expects `{name}` to be {wanted}, got {value!r}."
    return f"{text} {remedy}" if remedy else text
