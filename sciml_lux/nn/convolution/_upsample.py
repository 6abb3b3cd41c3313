"""Upsample: finer spatial axes by interpolation."""

import math
from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import Literal

from jaxtyping import Array, Inexact

from ...core import Layer, Parameters, States
from ...core.internal import is_number, subject
from ...ops import upsample_bilinear, upsample_linear, upsample_nearest, upsample_trilinear
from .._array_check import check_array

_LINEAR: dict[str, tuple[int, Callable[..., Array]]] = {
    "linear": (1, upsample_linear),
    "bilinear": (2, upsample_bilinear),
    "trilinear": (3, upsample_trilinear),
}


class Upsample(Layer):
    """y = x with its spatial axes resized, by repetition or by linear interpolation.

    Args:
        mode: "nearest" for any spatial axes; "linear", "bilinear" or "trilinear" for one, two or
            three of them.
        scale: by how much each axis grows; one number, or one for each axis.
        size: the new sizes; one number, or one for each axis. Give this or `scale`.
        align_corners: whether the first and the last elements stay where they are; otherwise
            elements are cells of equal width. Not used by "nearest".

    Inputs: x (batch, *spatial, channels).

    Returns: y (batch, *resized, channels), ⌊scale n⌋ or `size` along each axis.

    Raises:
        ValueError: another mode; both or neither of `scale` and `size`, or not above 0; x with
            another number of spatial axes.
        TypeError: x of integers in the linear modes.

    Source: `Upsample` of Lux 1.31. Lux does not pass `align_corners` on, so that the default of
        NNlib, true, always applies there. Lux documents "linear" but raises an error for it.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, Record
        >>> x = jnp.asarray([0.0, 4.0], jnp.float32).reshape(1, 2, 1)
        >>> nn.Upsample("linear", scale=2)(x, Record(), Record())[0][0, :, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
    """

    mode: Literal["nearest", "linear", "bilinear", "trilinear"] = "nearest"
    _: KW_ONLY
    scale: float | tuple[float, ...] | None = None
    size: int | tuple[int, ...] | None = None
    align_corners: bool = False

    def __post_init__(self) -> None:
        """Check the mode and the sizes."""
        if self.mode not in ("nearest", *_LINEAR):
            raise ValueError(
                '`Upsample` expects `mode` to be "nearest", "linear", "bilinear" or "trilinear", '
                f"got {self.mode!r}."
            )
        if (self.scale is None) == (self.size is None):
            raise ValueError(
                f"`Upsample` expects one of `scale` and `size`, got {self.scale!r} and "
                f"{self.size!r}."
            )
        given = self.scale if self.size is None else self.size
        each = given if isinstance(given, tuple) else (given,)
        if not each or not all(is_number(s) and 0 < s < math.inf for s in each):
            raise ValueError(
                f"`Upsample` expects `{'scale' if self.size is None else 'size'}` above 0: a "
                f"number, or a tuple of one for each spatial axis, got {given!r}."
            )

    def __call__(
        self, x: Inexact[Array, "batch *spatial channels"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "batch *resized channels"], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        axes, upsample = _LINEAR.get(self.mode, (max(x.ndim - 2, 1), upsample_nearest))
        if x.ndim != axes + 2:
            raise ValueError(
                f"{subject(self)} expects `x` (batch, *spatial, channels) with {axes} spatial axes "
                f'for "{self.mode}", got shape {x.shape}. Add a batch axis if it lacks '
                "one: x[None]."
            )
        if self.mode == "nearest":
            return upsample(x, self.scale, size=self.size), st
        return upsample(x, self.scale, size=self.size, align_corners=self.align_corners), st
