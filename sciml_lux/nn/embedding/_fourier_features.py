"""FourierFeatures: sines and cosines of the coordinates, with random frequencies."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_number, subject
from ...initializers import normal
from ...ops import fused_dense_bias_activation
from .._last_axis import check_last_axis
from .._precision import Precision, check_precision
from .._sizes import check_sizes


class FourierFeatures(Layer):
    """y = (cos(2πBx), sin(2πBx)), over the last axis of x, with random frequencies B.

    Args:
        in_dims: size of the last axis of the input.
        num_features: number of frequencies, half the size of the last axis of the output.
        scale: standard deviation of B, which is drawn from N(0, scale²): the larger it is, the
            faster the variations that the following layers can represent.
        trainable: whether B is a parameter; otherwise it is a state.
        precision: of the product Bx, as in `Dense`.

    Inputs: x (..., in_dims), floating.

    Returns: y (..., 2 num_features), the cosines first, in the widest of the dtypes of x and B.

    Parameters: frequencies (num_features, in_dims) if trainable.

    States: frequencies (num_features, in_dims) if not.

    Raises:
        ValueError: sizes below 1; a scale that is not positive; x of another shape.
        TypeError: a size is not an integer; x is not real and floating.

    Source: arXiv 2006.10739, eq. 5.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.FourierFeatures(2, 16, scale=3.0)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape, list(ps), list(st)
        ((5, 32), [], ['frequencies'])
    """

    in_dims: int
    num_features: int
    _: dataclasses.KW_ONLY
    scale: float = 1.0
    trainable: bool = False
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes and the scale."""
        check_sizes(self, "in_dims", "num_features")
        check_precision(self)
        check_number("FourierFeatures", "scale", self.scale, above=0)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The frequencies if they are trained."""
        return self._frequencies(key, dtype) if self.trainable else Record()

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The frequencies if they are not trained."""
        return Record() if self.trainable else self._frequencies(key, dtype)

    def __call__(
        self, x: Float[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... features"], States]:
        """The features of x, and `st` as it was."""
        check_last_axis(self, x)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise TypeError(
                f"{subject(self)} expects `x` to be real and floating, got {x.dtype.name}. Convert "
                "it: x.astype(dtype)."
            )
        frequencies = (ps if self.trainable else st).frequencies
        angles = fused_dense_bias_activation(
            _times_two_pi, frequencies, x, precision=self.precision
        )
        return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1), st

    def _frequencies(self, key: Key, dtype: np.dtype) -> Record:
        shape = (self.num_features, self.in_dims)
        draw = normal(std=self.scale)
        return Record(frequencies=draw(jax.random.fold_in(key, 0), shape, dtype))


def _times_two_pi(x: Array) -> Array:
    return 2 * math.pi * x
