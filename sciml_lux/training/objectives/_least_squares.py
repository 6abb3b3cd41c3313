"""LeastSquares: an objective for solvers that need residuals."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core import LayerLike, Parameters, Record, States, StaticValue


class LeastSquares(StaticValue):
    """Σ r², for solvers that need the residuals r themselves.

    Args:
        residuals: `(model, ps, st, data) -> r`, a tree of arrays.

    Source: the form in which Gauss-Newton and Levenberg-Marquardt take a problem. `losses.MSELoss`
        serves such solvers as it is.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import Record, nn, setup, training
        >>> def residuals(model, ps, st, data):
        ...     return model(data[0], ps, st)[0] - data[1]
        >>> objective = training.LeastSquares(residuals)
        >>> data = jnp.ones((4, 1), jnp.float32), jnp.full((4, 1), 3, jnp.float32)
        >>> objective(nn.NoOpLayer(), Record(), Record(), data)[0].item()
        16.0
    """

    residuals: Callable[[Any, Any, Any, Any], Any]

    def __call__(
        self, model: LayerLike, ps: Parameters, st: States, data: PyTree
    ) -> tuple[jax.Array, Any, Record]:
        """The sum of squares, the states as they were, and no stats."""
        leaves = jax.tree.leaves(self.residuals(model, ps, st, data))
        squares = [jnp.sum(jnp.real(leaf * jnp.conj(leaf))) for leaf in leaves]
        return jnp.sum(jnp.stack(squares)), st, Record()
