"""Pooling layers: each window of the spatial axes becomes one number."""

import abc
import dataclasses
import functools
from collections.abc import Callable

from jaxtyping import Array, Inexact

from ...core import Layer, Parameters, States, layer_name
from ...core.internal import subject
from ...ops import lp_pool, max_pool, mean_pool
from ...ops.internal import Padding, PerAxis, Windows, exponent
from .._array_check import check_array
from ._same_pad import SamePad, padded_windows


class WindowPool(Layer):
    """Base of the pools over windows of a given size."""

    window: tuple[int, ...]
    _: dataclasses.KW_ONLY
    stride: PerAxis | None = None
    padding: Padding | SamePad = 0
    dilation: PerAxis = 1

    def __post_init__(self) -> None:
        """Check the options."""
        self._windows()

    def __call__(
        self, x: Inexact[Array, "batch *spatial channels"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "batch *pooled channels"], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        if x.ndim != len(self.window) + 2:
            raise ValueError(
                f"{subject(self)} expects `x` (batch, *spatial, channels) with {len(self.window)} "
                f"spatial axes for the window {self.window}, got shape {x.shape}. Add a batch axis "
                "if it lacks one: x[None]."
            )
        where = self._windows()
        options = {"stride": where.stride, "padding": where.padding, "dilation": where.dilation}
        return self._pool()(x, where.size, **options), st

    def _windows(self) -> Windows:
        stride = self.window if self.stride is None else self.stride
        return padded_windows(layer_name(self), self.window, stride, self.padding, self.dilation)

    @abc.abstractmethod
    def _pool(self) -> Callable[..., Array]:
        """The op."""


class MaxPool(WindowPool):
    """y = the maximum of each window, channel by channel.

    Args:
        window: the size of a window, one number for each of 1 to 3 spatial axes.
        stride: from one window to the next; one number, or one for each axis; the size of the
            window by default.
        padding: empty places around x: an integer; or a tuple with an integer or a pair (low, high)
            for each axis; or `SamePad()`.
        dilation: distance in x between neighbours in a window; one number, or one for each axis.

    Inputs: x (batch, *spatial, channels), floating.

    Returns: y (batch, *pooled, channels), with
        ⌊(size + padding - (window - 1) dilation - 1) / stride⌋ + 1 along each axis.

    Raises:
        ValueError: options out of bounds; windows that do not fit x, or lie in the padding alone.
        TypeError: an option that is not of integers; x that is not floating.

    Source: `MaxPool` of Lux 1.31, which takes padding at both ends as one flat tuple.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, Record
        >>> y, st = nn.MaxPool((2, 2))(jnp.ones((5, 8, 6, 3), jnp.float32), Record(), Record())
        >>> y.shape
        (5, 4, 3, 3)
    """

    def _pool(self) -> Callable[..., Array]:
        return max_pool


class MeanPool(WindowPool):
    """y = the mean of each window, channel by channel; padding counts as zeros.

    Args:
        window: as in `MaxPool`.
        stride: as in `MaxPool`.
        padding: zeros around x, as in `MaxPool`.
        dilation: as in `MaxPool`.

    Inputs: x (batch, *spatial, channels), floating or complex.

    Returns: as `MaxPool`.

    Raises:
        ValueError: options out of bounds; windows that do not fit x.
        TypeError: an option that is not of integers; x of integers.

    Source: `MeanPool` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record
        >>> x = jnp.arange(1, 5, dtype=jnp.float32).reshape(1, 4, 1)
        >>> MeanPool((2,))(x, Record(), Record())[0].ravel().tolist()
        [1.5, 3.5]
    """

    def _pool(self) -> Callable[..., Array]:
        return mean_pool


class LPPool(WindowPool):
    """y = (Σ |x|ᵖ)^(1/p) over each window, channel by channel.

    The derivative at a window of zeros, where a norm has none, is defined as 0.

    Args:
        window: as in `MaxPool`.
        stride: as in `MaxPool`.
        padding: zeros around x, as in `MaxPool`.
        dilation: as in `MaxPool`.
        p: above 0 and finite.

    Inputs: x (batch, *spatial, channels), floating.

    Returns: as `MaxPool`.

    Raises:
        ValueError: options out of bounds; windows that do not fit x.
        TypeError: an option of another type; x that is not floating.

    Source: `LPPool` of Lux 1.31, which has xᵖ in place of |x|ᵖ: different for odd p, and NaN if a
        sum is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, Record
        >>> x = jnp.asarray([3.0, -4.0, 0.0, 0.0], jnp.float32).reshape(1, 4, 1)
        >>> nn.LPPool((2,))(x, Record(), Record())[0][0, :, 0].tolist()
        [5.0, 0.0]
    """

    _: dataclasses.KW_ONLY
    p: float = 2

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        exponent("LPPool", self.p)

    def _pool(self) -> Callable[..., Array]:
        return functools.partial(lp_pool, p=self.p)
