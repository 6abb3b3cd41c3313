"""Phase: a state of positions and momenta."""

from typing import Any, NamedTuple


class Phase(NamedTuple):
    """A state (q, p), as symplectic solvers take it; any other pair does as well.

    Attributes:
        q: the positions, an array or a tree.
        p: the momenta, or velocities.

    Example:
        >>> import jax.numpy as jnp
        >>> start = Phase(q=jnp.ones(2), p=jnp.zeros(2))
        >>> start.q.shape
        (2,)
    """

    q: Any
    p: Any
