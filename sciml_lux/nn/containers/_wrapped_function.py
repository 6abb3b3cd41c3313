"""WrappedFunction: any function as a layer."""

from collections.abc import Callable
from typing import Any

from jaxtyping import PyTree

from ...core import Layer, Parameters, States


class WrappedFunction(Layer):
    """y = function(x), for a function without parameters or states.

    Args:
        function: of one argument. Functions compare by identity: with a new lambda each time, every
            model is a different one and compiles again.

    Source: `WrappedFunction` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record, ops
        >>> y, st = WrappedFunction(ops.relu)(-jnp.ones(2, jnp.float32), Record(), Record())
        >>> y.tolist()
        [0.0, 0.0]
    """

    function: Callable[[Any], Any]

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """`function(x)`, and `st` as it was."""
        return self.function(x), st
