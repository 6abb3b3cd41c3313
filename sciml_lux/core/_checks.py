"""Checks of options: each raises, and says subject, what was expected, what was got and a remedy.

They stand in `core`, below all packages whose layers, functions and classes take options.
"""

import math
from collections.abc import Iterable
from typing import Any, TypeGuard

import numpy as np


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether `value` is an integer of Python or NumPy; True and False are not."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether `value` is a real number of Python or NumPy; True and False are not."""
    return is_integer(value) or isinstance(value, float | np.floating)


def check_integer(
    owner: str, name: str, value: Any, *, least: int | None = None, remedy: str = ""
) -> None:
    """Raise unless `value` is an integer, of at least `least`.

    Args:
        owner: what the option is of, for the message.
        name: of the option.
        value: what was given.
        least: the smallest that is right.
        remedy: a sentence that ends the message.

    Raises:
        TypeError: it is not an integer; True and False are not.
        ValueError: it is below `least`.
    """
    wanted = "an integer" if least is None else f"an integer of at least {least}"
    if not is_integer(value):
        raise TypeError(_message(owner, name, wanted, value, remedy))
    if least is not None and value < least:
        raise ValueError(_message(owner, name, wanted, value, remedy))


def check_number(
    owner: str,
    name: str,
    value: Any,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    remedy: str = "",
) -> None:
    """Raise unless `value` is a real number within the limits.

    Args:
        owner: what the option is of, for the message.
        name: of the option.
        value: what was given.
        least: the smallest that is right; with `most`, the start of an interval.
        most: the greatest.
        above: what it must exceed.
        remedy: a sentence that ends the message.

    Raises:
        TypeError: it is not a number; True and False are not, nor are arrays.
        ValueError: it is out of range, or NaN.
    """
    wanted = "a number"
    if least is not None:
        wanted += f" of at least {least}" if most is None else f" in [{least}, {most}]"
    if above is not None:
        wanted += f" above {above}"
    if not is_number(value):
        raise TypeError(_message(owner, name, wanted, value, remedy))
    inside = (
        (is_integer(value) or not math.isnan(value))  # A long integer is beyond every float.
        and (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
    )
    if not inside:
        raise ValueError(_message(owner, name, wanted, value, remedy))


def check_choice(
    owner: str, name: str, value: Any, choices: Iterable[Any], *, remedy: str = ""
) -> None:
    """Raise unless `value` is one of `choices`, in value and type.

    Args:
        owner: what the option is of, for the message.
        name: of the option.
        value: what was given.
        choices: what is right.
        remedy: a sentence that ends the message.

    Raises:
        ValueError: it is none of them.
    """
    choices = tuple(choices)
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        *first, last = (f'"{c}"' if isinstance(c, str) else repr(c) for c in choices)
        wanted = f"{', '.join(first)} or {last}" if first else last
        raise ValueError(_message(owner, name, wanted, value, remedy))


def check_function(
    owner: str, name: str, value: Any, *, such_as: str = "", remedy: str = ""
) -> None:
    """Raise unless `value` can be called.

    Args:
        owner: what the option is of, for the message.
        name: of the option.
        value: what was given.
        such_as: an example of what is right.
        remedy: a sentence that ends the message.

    Raises:
        TypeError: it cannot.
    """
    if not callable(value):
        wanted = f"a function such as {such_as}" if such_as else "a function"
        raise TypeError(_message(owner, name, wanted, value, remedy))


def _message(owner: str, name: str, wanted: str, value: Any, remedy: str) -> str:
    text = f"`{owner}` expects `{name}` to be {wanted}, got {value!r}."
    return f"{text} {remedy}" if remedy else text
