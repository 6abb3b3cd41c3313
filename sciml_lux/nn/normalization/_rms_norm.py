"""RMSNorm: division of each sample by its root mean square."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_function, check_number, is_integer, subject
from ...initializers import Initializer, ones
from ...ops import rmsnorm
from .._array_check import check_array


class RMSNorm(Layer):
    """y = x / √(mean(x²) + epsilon) scale, with the mean over the last axes, those of `shape`.

    Args:
        shape: the sizes of the last axes, or an integer for one.
        affine: whether there is a scale.
        epsilon: added to the mean square.
        init_scale: initialiser of the scale; by default 1.

    Inputs: x (..., *shape), real floats.

    Returns: y of the shape of x, in the widest of the dtypes of x and the scale; float16 and
        bfloat16 are computed in float32 and rounded at the end.

    Parameters: scale of shape `shape`.

    Raises:
        ValueError: x has another shape; an option is out of range.
        TypeError: an option of the wrong type; x is not an array of real floats.

    Source: `RMSNorm` of Lux 1.31, features last. arXiv 1910.07467.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.RMSNorm(2)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> print(model(jnp.asarray([1.0, 7.0], jnp.float32), ps, st)[0].round(1))
        [0.2 1.4]
    """

    shape: int | tuple[int, ...]
    _: dataclasses.KW_ONLY
    affine: bool = True
    epsilon: float = 1e-5
    init_scale: Initializer = ones

    def __post_init__(self) -> None:
        """Check the options; an integer is a shape of one axis."""
        shape = self.shape if isinstance(self.shape, tuple) else (self.shape,)
        if not shape or not all(is_integer(n) and n >= 0 for n in shape):
            raise ValueError(
                "`RMSNorm` expects `shape` to be the sizes of the last axes, an integer or a tuple "
                f"of them, got {self.shape!r}."
            )
        object.__setattr__(self, "shape", shape)
        check_number("RMSNorm", "epsilon", self.epsilon, least=0)
        check_function("RMSNorm", "init_scale", self.init_scale)

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.shape  # pyright: ignore[reportReturnType]

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The scale if it is used."""
        if not self.affine:
            return Record()
        return Record(scale=self.init_scale(jax.random.fold_in(key, 0), self._shape, dtype))

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
        scale = ps.scale if self.affine else None
        return rmsnorm(x, scale, tuple(range(-features, 0)), self.epsilon), st
