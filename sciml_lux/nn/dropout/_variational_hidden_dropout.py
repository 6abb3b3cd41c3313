"""VariationalHiddenDropout: dropout with one mask for many calls."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from ...core import Key, Layer, Parameters, Record, States, Static
from ...core.internal import check_number, is_integer, subject
from ...ops import dropout
from .._array_check import check_array


class VariationalHiddenDropout(Layer):
    """y = x mask / (1 - p), where mask is 0 with probability p, otherwise 1, and lasts many calls.

    The first call in training mode draws the mask. Later calls, such as the steps of a recurrence,
    use it again until `update_state(st, "update_mask", True)` asks for a new one. In test mode y =
    x.

    Args:
        p: the probability of 0; p = 0 returns x, p = 1 returns zeros.
        shape: the shape of the mask: for each axis of x its size, or 1 where the mask is shared
            along it, such as (1, 8) for one mask of 8 features for the whole batch.

    Inputs: x with sizes as in `shape`, or any size where `shape` has 1; floating or complex.

    Returns: y as x.

    States: rng, split at each call in training mode; training; mask, booleans of shape `shape`,
        true where x is kept; update_mask, a boolean.

    Raises:
        ValueError: p is not in [0, 1]; x has another shape.
        TypeError: `shape` is not a tuple of integers; x is not floating or complex.

    Source: `VariationalHiddenDropout` of Lux 1.31, whose state changes its type when the first call
        makes the mask. Here `shape`, in place of `dims`, fixes the shape beforehand, so that a scan
        can carry the state. The mask is boolean, so that it suits x of any dtype. arXiv 1512.05287.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model, x = nn.VariationalHiddenDropout(0.5, (1, 8)), jnp.ones((5, 8), jnp.float32)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> y1, st = model(x, ps, st)
        >>> y2, st = model(x, ps, st)
        >>> bool((y1 == y2).all())
        True
    """

    p: float
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check the probability and the shape."""
        check_number("VariationalHiddenDropout", "p", self.p, least=0, most=1)
        is_tuple = isinstance(self.shape, tuple)
        if not is_tuple or not all(map(is_integer, self.shape)):
            raise TypeError(
                "`VariationalHiddenDropout` expects `shape` to be a tuple of sizes such as (1, 8), "
                f"got {self.shape!r}."
            )

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The random key, the mode, a mask that keeps everything, and the request for a new one."""
        return Record(
            rng=key,
            training=Static(True),
            mask=jnp.ones(self.shape, jnp.bool_),
            update_mask=jnp.ones((), jnp.bool_),
        )

    def __call__(
        self, x: Inexact[Array, "..."], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "..."], States]:
        """The output, and `st` with the mask that was used in training mode."""
        check_array(self, x)
        fits = [n in (1, size) for n, size in zip(self.shape, x.shape, strict=False)]
        if x.ndim != len(self.shape) or not all(fits):
            raise ValueError(
                f"{subject(self)} expects `x` of shape {self.shape} (`shape`), with any size where "
                f"that has 1, got shape {x.shape}."
            )
        if not st.training or self.p == 0:
            return x, st
        axes = tuple(i for i, n in enumerate(self.shape) if n != 1)
        y, mask, key = dropout(
            st.rng, x, self.p, True, axes=axes, mask=st.mask, update_mask=st.update_mask
        )
        new = {"rng": key, "mask": mask != 0, "update_mask": jnp.zeros((), jnp.bool_)}
        return y, st | new
