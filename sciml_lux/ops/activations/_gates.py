"""Gates: an array cut into equal parts along its features."""

import jax.numpy as jnp
from jaxtyping import Array, Inexact, Shaped

from .._op import op
from ._sigmoid import sigmoid


@op("x")
def multigate(x: Shaped[Array, "*batch features"], num_gates: int) -> tuple[Array, ...]:
    """x cut into `num_gates` equal parts along its last axis, in order.

    Args:
        x: (..., features).
        num_gates: how many; features is a multiple of it.

    Returns:
        The parts, (..., features / num_gates) each.

    Raises:
        ValueError: `x` without axes, `num_gates` below 1 or not a divisor of features.

    Source: `LuxOps.multigate` of Lux 1.31, features last.

    Example:
        >>> import jax.numpy as jnp
        >>> [gate.tolist() for gate in multigate(jnp.arange(4, dtype=jnp.int32), 2)]
        [[0, 1], [2, 3]]
    """
    if x.ndim == 0 or num_gates < 1 or x.shape[-1] % num_gates:
        raise ValueError(
            f"`multigate` expects the last axis of `x` to be a multiple of `num_gates`, at least "
            f"1, got shape {x.shape} and {num_gates}."
        )
    return tuple(jnp.split(x, num_gates, axis=-1))


@op("x")
def glu(x: Inexact[Array, "*shape"], *, axis: int = -1) -> Inexact[Array, "*halved"]:
    """a sigmoid(b), for the halves a and b of x along `axis`.

    Args:
        x: with an even size along `axis`.
        axis: the one that is halved.

    Returns:
        Of half the size along `axis`, in the dtype of `x`.

    Raises:
        ValueError: an axis that is not there, or of odd size.

    Source: `glu` of NNlib, as Lux 1.31 exports it, features last; arXiv 1612.08083.

    Example:
        >>> import jax.numpy as jnp
        >>> glu(jnp.asarray([3.0, 4.0, 0.0, 100.0], jnp.float32)).tolist()
        [1.5, 4.0]
    """
    if not -x.ndim <= axis < x.ndim or x.shape[axis] % 2:
        raise ValueError(
            f"`glu` expects an even size along `axis` {axis} of `x`, got shape {x.shape}."
        )
    a, b = jnp.split(x, 2, axis)
    return a * sigmoid(b)
