"""Dropout: entries set to zero at random in training."""

import dataclasses

import numpy as np
from jaxtyping import Array, Inexact

from ...core import Key, Layer, Parameters, Record, States, Static
from ...core.internal import check_number, is_integer
from ...ops import dropout
from .._array_check import check_array


class Dropout(Layer):
    """y = x mask / (1 - p), where mask is 0 with probability p, otherwise 1, drawn at each call.

    In test mode y = x.

    Args:
        p: the probability of 0; p = 0 returns x, p = 1 returns zeros.
        axes: along which the mask varies, an axis or several; along the others it is shared. All
            by default.

    Inputs: x of any shape, floating or complex.

    Returns: y as x.

    States: rng, split at each call in training mode; training.

    Raises:
        ValueError: p is not in [0, 1]; x has no such axis.
        TypeError: `axes` is not an integer or a tuple of integers; x is not floating or complex.

    Source: `Dropout` of Lux 1.31; with p = 0 Lux makes a `NoOpLayer`; here the states have the same
        form for every p.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup, testmode
        >>> model, x = nn.Dropout(0.5), jnp.ones(4, jnp.float32)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> y, st = model(x, ps, st)
        >>> set(y.tolist()) <= {0.0, 2.0}, model(x, ps, testmode(st))[0].tolist()
        (True, [1.0, 1.0, 1.0, 1.0])
    """

    p: float
    _: dataclasses.KW_ONLY
    axes: int | tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check the probability and the axes."""
        check_number("Dropout", "p", self.p, least=0, most=1)
        axes = self.axes if isinstance(self.axes, tuple) else (self.axes,)
        if self.axes is not None and not all(map(is_integer, axes)):
            raise TypeError(
                f"`Dropout` expects `axes` to be None, an axis or a tuple of them, got "
                f"{self.axes!r}."
            )

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The random key and the mode."""
        return Record(rng=key, training=Static(True))

    def __call__(
        self, x: Inexact[Array, "..."], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "..."], States]:
        """The output, and `st` with a new key in training mode."""
        check_array(self, x)
        draws = bool(st.training) and self.p > 0
        y, _, key = dropout(st.rng, x, self.p, draws, axes=self.axes)
        return y, st | {"rng": key}
