"""The check that layers of one array begin with."""

from typing import Any

from ..core import LayerLike
from ..core.internal import subject


def check_array(layer: LayerLike, x: Any) -> None:
    """Raise a TypeError unless `x` is an array; attention, for one, returns a tuple."""
    if not hasattr(x, "shape"):
        raise TypeError(
            f"{subject(layer)} expects `x` to be an array, got {type(x).__name__}. Convert it: "
            "jnp.asarray(x, dtype), or pass the one array that is meant."
        )
