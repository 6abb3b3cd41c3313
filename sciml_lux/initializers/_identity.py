"""Weights that start a layer as the identity."""

import jax
import jax.numpy as jnp
import numpy as np

from ..core import Key
from ..core.internal import check_integer
from ._initializer import initializer


@initializer
def identity_init(
    key: Key,
    shape: tuple[int, ...],
    dtype: np.dtype,
    *,
    gain: float = 1.0,
    shift: int | tuple[int, ...] = 0,
) -> jax.Array:
    """gain times the weight of the identity map; zeros for a bias.

    A matrix (out, in) has `gain` on its diagonal, a kernel (out, in, *kernel) at its centre tap,
    ⌊(size - 1) / 2⌋ along each axis, from each input to the output of the same number.

    Args:
        key: not used.
        shape: of the weight.
        dtype: floating or complex.
        gain: the factor of the identity.
        shift: by how many places the entries are rolled: along the first axis if an integer, or
            along each axis if a tuple.

    Raises:
        ValueError: `shift` is a tuple whose length is not that of `shape`.

    Source: `identity_init` of WeightInitializers.jl 1.3, where the axes of a kernel come first: one
        integer moves the tap there, and the outputs here.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux.initializers import identity_init
        >>> identity_init(jax.random.key(0), (2, 3), jnp.float32).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    if len(shape) < 2:
        return jnp.zeros(shape, dtype)
    if not isinstance(shift, tuple | list):
        check_integer("identity_init", "shift", shift)
        shift = (shift, *(0,) * (len(shape) - 1))
    shifts = tuple(shift)
    if len(shifts) != len(shape):
        raise ValueError(
            f"`identity_init` expects `shift` to be a number or one for each axis of {shape}, got "
            f"{shift!r}."
        )
    if 0 in shape:
        return jnp.zeros(shape, dtype)
    diagonal = jnp.arange(min(shape[:2]), dtype=jnp.int32)
    centre = tuple((size - 1) // 2 for size in shape[2:])
    weight = jnp.zeros(shape, dtype).at[(diagonal, diagonal, *centre)].set(gain)
    return jnp.roll(weight, shifts, tuple(range(len(shape))))
