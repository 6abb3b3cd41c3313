"""raise_if: an error at run time, with one of several messages."""

from typing import TypeVar

import equinox as eqx
from jax.core import Tracer
from jaxtyping import Array, Int

from .._op import op

Tree = TypeVar("Tree")


@op("x")
def raise_if(x: Tree, cause: Int[Array, ""] | int, causes: tuple[str, ...]) -> Tree:
    """`x`, with the error `causes[cause - 1]` at run time where `cause` is above 0.

    Without `jit` it is raised at once. Under `jit` it is raised after `x` is computed and before
    the result is used; together with a result that nobody uses the check is dropped.

    Args:
        x: a tree with at least one array.
        cause: an integer scalar; 0 for no error. In a batch, the largest counts.
        causes: messages.

    Returns:
        `x`.

    Raises:
        RuntimeError: at run time. Under `jit` it is JAX's own kind of error around the message: a
            `JaxRuntimeError`, or a ValueError where a compiled program is called again.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones(2, jnp.float32)
        >>> raise_if(x, jnp.any(x < 0).astype(jnp.int32), ("x is negative",)).tolist()
        [1.0, 1.0]
    """
    if isinstance(cause, Tracer):
        return eqx.branched_error_if(x, cause > 0, cause, ["", *causes])
    if cause > 0:
        raise RuntimeError(causes[int(cause) - 1])
    return x
