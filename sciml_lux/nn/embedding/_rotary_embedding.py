"""RotaryPositionalEmbedding: features rotated by an angle proportional to the position."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_integer, check_number, is_integer, subject
from ...ops import apply_rotary_embedding, compute_rotary_embedding_params
from ...precision import promote


class RotaryPositionalEmbedding(Layer):
    """Each pair (xᵢ, xᵢ₊ₙ), n = dim/2, rotated by the angle t base^(-2i/dim) at position t.

    The two features of a pair are dim/2 apart; in the paper they are neighbours.

    Args:
        dim: number of features that are rotated, even; further ones are left unchanged.
        max_sequence_length: length of the caches.
        base: of the angular frequencies.
        low_memory_variant: whether the caches have width dim/2; otherwise dim, with each angle
            twice.

    Inputs: x (batch, time, heads, features) with features ≥ dim and time ≤ max_sequence_length,
        or (time, heads, features); or a pair of x and positions (time,), integers from 0.

    Returns: y of the shape of x, in the widest of the dtypes of x and the caches. Positions
        outside the caches, negative ones among them, give NaN.

    States: cos_cache and sin_cache, (max_sequence_length, dim/2 or dim), correct to the last digits
        of the dtype at every position.

    Raises:
        ValueError: `dim` is not even and positive; x of another shape, or longer than the caches.
        TypeError: positions that are not integers.

    Source: `RotaryPositionalEmbedding` of Lux 1.31, whose documentation leaves features beyond
        `dim` unchanged while its code rejects them; Su et al., arXiv 2104.09864.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.RotaryPositionalEmbedding(4, max_sequence_length=16)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 3, 2, 4), jnp.float32), ps, st)[0].shape
        (5, 3, 2, 4)
    """

    dim: int
    _: dataclasses.KW_ONLY
    max_sequence_length: int = 4096
    base: float = 10000
    low_memory_variant: bool = True

    def __post_init__(self) -> None:
        """Check the sizes."""
        if not is_integer(self.dim) or self.dim < 2 or self.dim % 2:
            raise ValueError(
                f"`RotaryPositionalEmbedding` expects `dim` to be an even number of at least 2, "
                f"got {self.dim!r}."
            )
        owner = "RotaryPositionalEmbedding"
        check_integer(owner, "max_sequence_length", self.max_sequence_length, least=1)
        check_number(owner, "base", self.base, above=0)

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The caches."""
        cos, sin = compute_rotary_embedding_params(
            self.dim,
            self.max_sequence_length,
            base=self.base,
            dtype=dtype,
            low_memory_variant=self.low_memory_variant,
        )
        return Record(cos_cache=cos, sin_cache=sin)

    def __call__(
        self,
        x: Float[Array, "... time heads features"] | tuple[Array, Array],
        ps: Parameters,
        st: States,
    ) -> tuple[Float[Array, "... features"], States]:
        """The rotated features, and `st` as it was."""
        x, positions = x if isinstance(x, tuple) and len(x) == 2 else (x, None)
        if not hasattr(x, "shape"):
            raise TypeError(
                f"{subject(self)} expects `x` to be an array, or a pair of an array and "
                f"positions, got {type(x).__name__}."
            )
        if x.ndim < 3 or x.shape[-1] < self.dim or x.shape[-3] > self.max_sequence_length:
            raise ValueError(
                f"{subject(self)} expects `x` to be (..., time, heads, features) with at most "
                f"{self.max_sequence_length} time steps (`max_sequence_length`) and at least "
                f"{self.dim} features (`dim`), got shape {x.shape}."
            )
        y = apply_rotary_embedding(
            x[..., : self.dim], st.cos_cache, st.sin_cache, positions=positions
        )
        if x.shape[-1] == self.dim:
            return y, st
        return jnp.concatenate(promote(y, x[..., self.dim :]), axis=-1), st
