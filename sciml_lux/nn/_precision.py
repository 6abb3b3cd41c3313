"""The precision of products among the fields of a layer."""

import functools
import typing
from collections.abc import Callable
from typing import Any, Literal

from ..core import layer_name

Precision = Literal["highest", "high", "default"]


def precision_fault(layer: Any) -> Exception | None:
    """The error to raise if the field `precision` is none of the three names; else None."""
    if layer.precision in typing.get_args(Precision):
        return None
    return ValueError(
        f'`{layer_name(layer)}` expects `precision` to be "highest", "high" or "default", got '
        f"{layer.precision!r}."
    )


def with_precision(make: Callable[..., Any], precision: Precision) -> Callable[..., Any]:
    """`make` with the keyword, which functions without it do as long as nobody opts out."""
    return make if precision == "highest" else functools.partial(make, precision=precision)
