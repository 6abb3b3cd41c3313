"""LayerNorm: normalisation of each sample over its features."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Parameters, States
from ...core.internal import is_integer, subject
from ...ops import identity, layernorm
from .._array_check import check_array
from ._normalization import Normalization


class LayerNorm(Normalization):
    """y = activation((x - μ) / √(σ² + epsilon) scale + bias), with μ and σ² of each sample.

    μ and σ² are the mean and the biased variance over the last axes, those of `shape`. **This is
    not the default of Lux**, whose layer takes them over the whole array, batch included, so that
    the output for a sample depends on the other samples; `axis=None` does the same here.

    Args:
        shape: the sizes of the last axes, or an integer for one.
        activation: elementwise function.
        affine: whether there are scale and bias.
        epsilon: added to the variance.
        init_scale: initialiser of the scale; by default 1.
        init_bias: initialiser of the bias; by default 0.
        axis: the axes over which μ and σ² are taken: "features" for the last axes, those of
            `shape`; None for the whole array, as in Lux; "sample" for every axis but the first; or
            an axis or several.

    Inputs: x (..., *shape), real floats.

    Returns: y of the shape of x, in the widest of the dtypes of x and the parameters; float16 and
        bfloat16 are computed in float32 and rounded at the end.

    Parameters: scale of shape `shape`, bias of shape `shape`.

    Raises:
        ValueError: x has another shape or no such axis; an option is out of range.
        TypeError: an option of the wrong type; x is not an array of real floats.

    Source: `LayerNorm` of Lux 1.31, features last, except for the default of `axis` (`dims=Colon()`
        there, `axis=None` here). arXiv 1607.06450.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.LayerNorm(2)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> y, st = model(jnp.asarray([[1.0, 3.0], [100.0, 300.0]], jnp.float32), ps, st)
        >>> print(y.round(3))
        [[-1.  1.]
         [-1.  1.]]
    """

    shape: int | tuple[int, ...]
    activation: Callable[[Array], Array] = identity
    _: dataclasses.KW_ONLY
    axis: int | tuple[int, ...] | Literal["features", "sample"] | None = "features"

    def __post_init__(self) -> None:
        """Check the options; an integer is a shape of one axis."""
        super().__post_init__()
        shape = self.shape if isinstance(self.shape, tuple) else (self.shape,)
        if not shape or not all(is_integer(n) and n >= 0 for n in shape):
            raise ValueError(
                "`LayerNorm` expects `shape` to be the sizes of the last axes, an integer or a "
                f"tuple of them, got {self.shape!r}."
            )
        object.__setattr__(self, "shape", shape)
        axis = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        named = self.axis is None or self.axis in ("features", "sample")
        if not named and not (axis and all(map(is_integer, axis))):
            raise ValueError(
                '`LayerNorm` expects `axis` to be "features", "sample", None, an axis or a tuple '
                f"of them, got {self.axis!r}."
            )

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.shape  # pyright: ignore[reportReturnType]

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Scale and bias where they are used."""
        return self.affine_parameters(key, self._shape, dtype)

    def __call__(
        self, x: Float[Array, "..."], ps: Parameters, st: States
    ) -> tuple[Float[Array, "..."], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        features = len(self._shape)
        if x.shape[-features:] != self._shape:
            raise ValueError(
                f"{subject(self)} expects the last axes of `x` to be {self._shape} (`shape`), got "
                f"shape {x.shape}."
            )
        axis = tuple(range(-features, 0)) if self.axis == "features" else self.axis
        scale, bias = self.scale_and_bias(ps)
        return layernorm(x, scale, bias, self.activation, axis, self.epsilon), st
