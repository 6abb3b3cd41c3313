"""AlphaDropout: dropout for networks of selu units."""

import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Layer, Parameters, Record, States, Static
from ...core.internal import check_number
from ...ops import alpha_dropout
from .._array_check import check_array


class AlphaDropout(Layer):
    """y = A where(u > p, x, α) + B with u ~ U(0, 1), which keeps mean 0 and variance 1.

    α = -1.7580993408473766 is the lower limit of selu, A = 1/√((1-p)(1 + p α²)) and B = -A α p. In
    test mode y = x.

    Args:
        p: the probability of α; 0 returns x, 1 returns zeros.

    Inputs: x of any shape, real floats.

    Returns: y as x.

    States: rng, split at each call in training mode; training.

    Raises:
        ValueError: p is not in [0, 1].
        TypeError: x is not of real floats.

    Source: `AlphaDropout` of Lux 1.31; with p = 0 Lux makes a `NoOpLayer`; here the states have the
        same form for every p. arXiv 1706.02515.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Chain(nn.Dense(2, 8, nn.selu), nn.AlphaDropout(0.1))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape
        (5, 8)
    """

    p: float

    def __post_init__(self) -> None:
        """Check the probability."""
        check_number("AlphaDropout", "p", self.p, least=0, most=1)

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The random key and the mode."""
        return Record(rng=key, training=Static(True))

    def __call__(
        self, x: Float[Array, "..."], ps: Parameters, st: States
    ) -> tuple[Float[Array, "..."], States]:
        """The output, and `st` with a new key in training mode."""
        check_array(self, x)
        y, key = alpha_dropout(st.rng, x, self.p, bool(st.training) and self.p > 0)
        return y, st | {"rng": key}
