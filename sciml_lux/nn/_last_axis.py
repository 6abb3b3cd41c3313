"""The check that most layers begin with."""

from jaxtyping import Array

from ..core import LayerLike
from ..core.internal import subject
from ._array_check import check_array


def check_last_axis(layer: LayerLike, x: Array, layout: str = "(..., in_dims)") -> None:
    """Raise a ValueError unless the last axis of `x` has the size `layer.in_dims`.

    Anything but an array is a TypeError.
    """
    check_array(layer, x)
    if x.ndim == 0 or x.shape[-1] != layer.in_dims:
        raise ValueError(
            f"{subject(layer)} expects the last axis of `x` to be {layer.in_dims} (`in_dims`), got "
            f"shape {x.shape}. Pass `x` as {layout}."
        )
