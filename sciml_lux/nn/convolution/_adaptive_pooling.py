"""Adaptive pooling layers: the size of the output determines the windows."""

import abc
import dataclasses
import functools
from collections.abc import Callable

from jaxtyping import Array, Inexact

from ...core import Layer, Parameters, States, layer_name
from ...core.internal import subject
from ...ops import lp_pool, max_pool, mean_pool
from ...ops.internal import exponent, per_axis
from .._array_check import check_array


class AdaptivePool(Layer):
    """Base of the pools with an output of a given size."""

    out_size: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the size."""
        name = layer_name(self)
        if not isinstance(self.out_size, tuple) or not 1 <= len(self.out_size) <= 3:
            raise TypeError(
                f"`{name}` expects `out_size` to be a tuple of 1 to 3 integers, one for each "
                f"spatial axis, got {self.out_size!r}."
            )
        per_axis(name, "out_size", self.out_size, len(self.out_size))

    def __call__(
        self, x: Inexact[Array, "batch *spatial channels"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "batch *out_size channels"], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        spatial = x.shape[1:-1]
        if x.ndim != len(self.out_size) + 2 or any(
            n < out for n, out in zip(spatial, self.out_size, strict=True)
        ):
            raise ValueError(
                f"{subject(self)} expects `x` (batch, *spatial, channels) with spatial axes of at "
                f"least {self.out_size} (`out_size`), got shape {x.shape}."
            )
        stride = tuple(n // out for n, out in zip(spatial, self.out_size, strict=True))
        axes = zip(spatial, self.out_size, stride, strict=True)
        window = tuple(n - (out - 1) * step for n, out, step in axes)
        return self._pool()(x, window, stride=stride), st

    @abc.abstractmethod
    def _pool(self) -> Callable[..., Array]:
        """The op."""


class AdaptiveMaxPool(AdaptivePool):
    """y = the maximum over each of `out_size` windows of equal size, channel by channel.

    Along an axis of n elements, with m in the output, the stride is ⌊n/m⌋ and the window
    n - (m - 1) stride.

    Args:
        out_size: the sizes of the spatial axes of the output.

    Inputs: x (batch, *spatial, channels), floating.

    Returns: y (batch, *out_size, channels).

    Raises:
        ValueError: a size below 1; x with another number of axes, or smaller than the output.
        TypeError: a size is not an integer; x is not floating.

    Source: `AdaptiveMaxPool` of Lux 1.31. PyTorch's windows differ in size if m does not divide n.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, Record
        >>> x = jnp.arange(7, dtype=jnp.float32).reshape(1, 7, 1)
        >>> nn.AdaptiveMaxPool((3,))(x, Record(), Record())[0][0, :, 0].tolist()
        [2.0, 4.0, 6.0]
    """

    def _pool(self) -> Callable[..., Array]:
        return max_pool


class AdaptiveMeanPool(AdaptivePool):
    """y = the mean over each of `out_size` windows of equal size, channel by channel.

    Args:
        out_size: as in `AdaptiveMaxPool`.

    Inputs: x (batch, *spatial, channels), floating or complex.

    Returns: y (batch, *out_size, channels).

    Raises:
        ValueError: as in `AdaptiveMaxPool`.
        TypeError: sizes or x of another type.

    Source: `AdaptiveMeanPool` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record
        >>> x = jnp.arange(1, 5, dtype=jnp.float32).reshape(1, 4, 1)
        >>> AdaptiveMeanPool((2,))(x, Record(), Record())[0].ravel().tolist()
        [1.5, 3.5]
    """

    def _pool(self) -> Callable[..., Array]:
        return mean_pool


class AdaptiveLPPool(AdaptivePool):
    """y = (Σ |x|ᵖ)^(1/p) over each of `out_size` windows of equal size, channel by channel.

    Args:
        out_size: as in `AdaptiveMaxPool`.
        p: above 0 and finite.

    Inputs: x (batch, *spatial, channels), floating.

    Returns: y (batch, *out_size, channels).

    Raises:
        ValueError: as in `AdaptiveMaxPool`; p out of bounds.
        TypeError: sizes, p or x of another type.

    Source: `AdaptiveLPPool` of Lux 1.31; see `LPPool`.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record
        >>> x = jnp.arange(1, 5, dtype=jnp.float32).reshape(1, 4, 1)
        >>> AdaptiveLPPool((2,), p=1.0)(x, Record(), Record())[0].ravel().tolist()
        [3.0, 7.0]
    """

    _: dataclasses.KW_ONLY
    p: float = 2

    def __post_init__(self) -> None:
        """Check size and exponent."""
        super().__post_init__()
        exponent("AdaptiveLPPool", self.p)

    def _pool(self) -> Callable[..., Array]:
        return functools.partial(lp_pool, p=self.p)
