"""PixelShuffle: channels rearranged into finer pixels."""

from jaxtyping import Array, Inexact

from ...core import Layer, Parameters, States
from ...core.internal import check_integer, subject
from ...ops import pixel_shuffle
from .._array_check import check_array


class PixelShuffle(Layer):
    """y = x with every rᵈ channels rearranged as pixels, along d axes that grow r times as long.

    Args:
        upscale_factor: r, at least 1.

    Inputs: x (batch, *spatial, rᵈ channels).

    Returns: y (batch, *r spatial, channels), with the order of `ops.pixel_shuffle`.

    Raises:
        ValueError: r below 1; x without spatial axes, or with channels that rᵈ does not divide.
        TypeError: r is not an integer.

    Source: `PixelShuffle` of Lux 1.31, and arXiv 1609.05158.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn, Record
        >>> y, st = nn.PixelShuffle(2)(jnp.ones((5, 3, 4, 8), jnp.float32), Record(), Record())
        >>> y.shape
        (5, 6, 8, 2)
    """

    upscale_factor: int

    def __post_init__(self) -> None:
        """Check the factor."""
        check_integer("PixelShuffle", "upscale_factor", self.upscale_factor, least=1)

    def __call__(
        self, x: Inexact[Array, "batch *spatial channels"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "batch *finer fewer_channels"], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        if x.ndim < 3 or x.shape[-1] % self.upscale_factor ** (x.ndim - 2):
            raise ValueError(
                f"{subject(self)} expects `x` (batch, *spatial, channels) with channels that "
                f"{self.upscale_factor}**{max(x.ndim - 2, 1)} divides, got shape {x.shape}. Add a "
                "batch axis if it lacks one: x[None]."
            )
        return pixel_shuffle(x, self.upscale_factor), st
