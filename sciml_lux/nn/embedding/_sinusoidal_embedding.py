"""SinusoidalPositionalEmbedding: sines and cosines of many frequencies."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_number, is_integer, subject
from ...precision import accumulating, promote


class SinusoidalPositionalEmbedding(Layer):
    """y = scale (sin(x σ₁), ..., sin(x σₙ), cos(x σ₁), ..., cos(x σₙ)), with n = dims/2.

    Args:
        dims: size of the new last axis, even.
        min_freq: the last frequency, σₙ.
        max_freq: the first frequency, σ₁; those between are in geometric progression.
        scale: factor; by default √(2/dims), with which every y has norm 1.
        full_turns: whether frequencies are in turns, and so multiplied by 2π.

    Inputs: x (...), positions of any shape, floating or integers; integers are taken in the dtype
        of the frequencies.

    Returns: y (..., dims) in the widest of the dtypes of x and the frequencies.

    States: sigmas (dims/2,).

    Raises:
        ValueError: `dims` is not even and positive; a frequency is not positive.
        TypeError: x is not an array of real numbers.

    Source: `SinusoidalPositionalEmbedding` of Lux 1.31; Vaswani et al., arXiv 1706.03762, who
        alternate sines and cosines; here all sines come first.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.SinusoidalPositionalEmbedding(16, min_freq=0.01)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.arange(10, dtype=jnp.float32), ps, st)[0].shape
        (10, 16)
    """

    dims: int
    _: dataclasses.KW_ONLY
    min_freq: float = 0.0001
    max_freq: float = 1.0
    scale: float | None = None
    full_turns: bool = False

    def __post_init__(self) -> None:
        """Check the size and the frequencies."""
        if not is_integer(self.dims) or self.dims < 2 or self.dims % 2:
            raise ValueError(
                f"`SinusoidalPositionalEmbedding` expects `dims` to be an even number of at least "
                f"2, got {self.dims!r}."
            )
        for name in ("min_freq", "max_freq"):
            check_number("SinusoidalPositionalEmbedding", name, getattr(self, name), above=0)
        if self.scale is not None:
            check_number("SinusoidalPositionalEmbedding", "scale", self.scale)

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The frequencies."""
        count = self.dims // 2
        ratio = self.min_freq / self.max_freq
        first = self.max_freq * (math.tau if self.full_turns else 1.0)
        sigmas = [first * ratio ** (i / max(count - 1, 1)) for i in range(count)]
        return Record(sigmas=jnp.asarray(sigmas, jnp.finfo(dtype).dtype))

    def __call__(
        self, x: Float[Array, "..."], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... dims"], States]:
        """The embedding, and `st` as it was."""
        dtype = getattr(x, "dtype", None)
        if dtype is None or not any(jnp.issubdtype(dtype, k) for k in (np.floating, np.integer)):
            raise TypeError(
                f"{subject(self)} expects `x` to be an array of real numbers, got "
                f"{type(x).__name__ if dtype is None else dtype.name}."
            )
        x, sigmas = promote(x, st.sigmas)
        return accumulating(self._waves, x, sigmas), st

    def _waves(self, x: Array, sigmas: Array) -> Array:
        angles = jnp.expand_dims(x, -1) * sigmas.reshape((1,) * x.ndim + sigmas.shape)
        scale = math.sqrt(2.0 / self.dims) if self.scale is None else self.scale
        return scale * jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
