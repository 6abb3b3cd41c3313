"""The precision of products among the fields of a layer."""

import functools
import typing
from collections.abc import Callable
from typing import Any, Literal

from ..core import LayerLike, layer_name
from ..core.internal import check_choice

Precision = Literal["highest", "high", "default"]


def check_precision(layer: LayerLike) -> None:
    """Raise unless the field `precision` is one of the three names.

    Raises:
        ValueError: it is not.
    """
    check_choice(layer_name(layer), "precision", layer.precision, typing.get_args(Precision))


def with_precision(make: Callable[..., Any], precision: Precision) -> Callable[..., Any]:
    """`make` with the keyword `precision`, left out where it is "highest"."""
    return make if precision == "highest" else functools.partial(make, precision=precision)
