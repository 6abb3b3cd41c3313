"""GenericLossFunction: any elementwise function of two arrays as a loss."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array

from ._loss_function import LossFunction, mean


class GenericLossFunction(LossFunction):
    """agg(function(y_pred, y)), for an elementwise function of two arrays.

    Args:
        function: a function of two arrays of one shape that returns an array of that shape.
            Functions are compared by identity: a new lambda makes another loss, which is compiled
            again.
        agg: how the elements become one number.

    Raises:
        ValueError: the function changes the shape.

    Source: `GenericLossFunction` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = GenericLossFunction(jnp.maximum)
        >>> loss(jnp.array([1.0, 3.0], jnp.float32), jnp.array([2.0, 1.0], jnp.float32)).item()
        2.5
    """

    _: dataclasses.KW_ONLY
    function: Callable[[Array, Array], Array]

    def __init__(
        self,
        function: Callable[[Array, Array], Array],
        agg: Callable[[Array], Array] | None = mean,
    ) -> None:
        object.__setattr__(self, "agg", agg)
        object.__setattr__(self, "function", function)

    def elementwise(self, y_pred: Array, y: Array) -> Array:
        """The function's values."""
        losses = self.function(y_pred, y)
        if losses.shape != y_pred.shape:
            raise ValueError(
                f"`GenericLossFunction` expects a function that keeps the shape {y_pred.shape}, "
                f"got {losses.shape}. Leave the aggregation to `agg`."
            )
        return losses

    def _arguments(self) -> list[str]:
        named = [] if self.agg is mean else [f"agg={_name(self.agg)}"]
        return [_name(self.function), *named]


def _name(function: Callable | None) -> str:
    return getattr(function, "__name__", repr(function))
