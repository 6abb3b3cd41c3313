"""Global pooling layers: all spatial positions become one number for each channel."""

import abc
import dataclasses
import functools
from collections.abc import Callable

from jaxtyping import Array, Inexact

from ...core import Layer, Parameters, States
from ...core.internal import subject
from ...ops import lp_pool, max_pool, mean_pool
from ...ops.internal import exponent
from .._array_check import check_array


class GlobalPool(Layer):
    """Base of the pools over all of the spatial axes."""

    def __call__(
        self, x: Inexact[Array, "batch *spatial channels"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "batch *ones channels"], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        if not 3 <= x.ndim <= 5 or 0 in x.shape[1:-1]:
            raise ValueError(
                f"{subject(self)} expects `x` (batch, *spatial, channels) with 1 to 3 spatial axes "
                f"of at least 1, got shape {x.shape}."
            )
        return self._pool()(x, x.shape[1:-1]), st

    @abc.abstractmethod
    def _pool(self) -> Callable[..., Array]:
        """The op."""


class GlobalMaxPool(GlobalPool):
    """y = the maximum of each channel; the spatial axes stay, with size 1.

    Inputs: x (batch, *spatial, channels), floating.

    Returns: y (batch, 1, ..., 1, channels).

    Raises:
        ValueError: x without spatial axes, or with an empty one.
        TypeError: x that is not floating.

    Source: `GlobalMaxPool` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, Record
        >>> y, st = nn.GlobalMaxPool()(jnp.ones((5, 8, 6, 3), jnp.float32), Record(), Record())
        >>> y.shape
        (5, 1, 1, 3)
    """

    def _pool(self) -> Callable[..., Array]:
        return max_pool


class GlobalMeanPool(GlobalPool):
    """y = the mean of each channel; the spatial axes stay, with size 1.

    Inputs: x (batch, *spatial, channels), floating or complex.

    Returns: y (batch, 1, ..., 1, channels).

    Raises:
        ValueError: x without spatial axes, or with an empty one.
        TypeError: x of integers.

    Source: `GlobalMeanPool` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record
        >>> x = jnp.arange(1, 5, dtype=jnp.float32).reshape(1, 4, 1)
        >>> GlobalMeanPool()(x, Record(), Record())[0].ravel().tolist()
        [2.5]
    """

    def _pool(self) -> Callable[..., Array]:
        return mean_pool


class GlobalLPPool(GlobalPool):
    """y = (Σ |x|ᵖ)^(1/p) of each channel; the spatial axes stay, with size 1.

    Args:
        p: above 0 and finite.

    Inputs: x (batch, *spatial, channels), floating.

    Returns: y (batch, 1, ..., 1, channels).

    Raises:
        ValueError: x without spatial axes, or with an empty one; p out of bounds.
        TypeError: x that is not floating.

    Source: `GlobalLPPool` of Lux 1.31; see `LPPool`.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record
        >>> x = jnp.arange(1, 5, dtype=jnp.float32).reshape(1, 4, 1)
        >>> GlobalLPPool(p=1.0)(x, Record(), Record())[0].ravel().tolist()
        [10.0]
    """

    _: dataclasses.KW_ONLY
    p: float = 2

    def __post_init__(self) -> None:
        """Check the exponent."""
        exponent("GlobalLPPool", self.p)

    def _pool(self) -> Callable[..., Array]:
        return functools.partial(lp_pool, p=self.p)
