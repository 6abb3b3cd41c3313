"""Sizes among the fields of a layer."""

from ..core import LayerLike, layer_name
from ..core.internal import check_integer, is_integer


def check_sizes(layer: LayerLike, *names: str) -> None:
    """Raise unless each of these fields is an integer of at least 1, or a tuple of such.

    Raises:
        TypeError: a field is neither an integer nor a tuple of them.
        ValueError: a size is below 1, or a tuple has none.
    """
    for name in names:
        value = getattr(layer, name)
        if not isinstance(value, tuple):
            check_integer(layer_name(layer), name, value, least=1)
            continue
        subject = f"`{layer_name(layer)}` expects `{name}` to be"
        if not value:
            raise ValueError(f"{subject} at least one size, got ().")
        if not all(map(is_integer, value)):
            raise TypeError(f"{subject} integers, got {value!r}.")
        if min(value) < 1:
            raise ValueError(f"{subject} sizes of at least 1, got {value!r}.")
