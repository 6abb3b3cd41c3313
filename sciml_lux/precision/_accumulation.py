"""Sums over float16 and bfloat16 in float32, in derivatives as in the value.

The derivative with respect to a number that is used many times is a sum, which JAX takes in the
dtype of the uses. So what is broadcast, gathered or closed over by a loop is widened before it is
used, and rounded afterwards: the value is the same to the bit, and its transpose adds in float32.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._promotion import promote
from ._types import Leaf

Tree = TypeVar("Tree")


def accumulated(x: Array) -> Array:
    """`x` in the dtype of its sums: float32 for float16 and bfloat16, otherwise its own.

    Example:
        >>> import jax.numpy as jnp
        >>> accumulated(jnp.ones(2, jnp.bfloat16)).dtype.name
        'float32'
    """
    return x.astype(jnp.float32) if _is_half(x) else x


def accumulating(function: Callable[..., Tree], *arrays: Array) -> Tree:
    """function(*arrays), computed in the dtype of their sums and rounded to their own afterwards.

    A function that only moves entries, or is one elementwise + - * or /, gives the same bits as in
    float16 and bfloat16: float32 has more than twice their digits, so that rounding twice is the
    same as rounding once. For other dtypes it is the function itself.

    Args:
        function: a function of the arrays that returns an array or a tree of arrays.
        *arrays: its arguments, of one dtype.

    Returns:
        What `function` returns, in the dtype of the arrays.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def first_row(table):
        ...     return jnp.sum(accumulating(lambda t: t[jnp.zeros(5000, jnp.int32)], table))
        >>> jax.grad(first_row)(jnp.ones(1, jnp.float16)).tolist()
        [5000.0]
    """
    if not _is_half(arrays[0]):
        return function(*arrays)
    dtype = arrays[0].dtype
    wide = function(*map(accumulated, arrays))
    return jax.tree.map(lambda y: y.astype(dtype), wide)


def broadcasting(operation: Callable[[Array, Array], Array], x: Array, parameter: Array) -> Array:
    """operation(x, parameter), an elementwise + - * or /, with `parameter` along the last axes.

    For float16 and bfloat16 the derivative with respect to `parameter` is added in float32, also
    over the axes that `jax.vmap` adds.

    Args:
        operation: a function of two arrays of one shape, such as `jnp.add`.
        x: an array of any shape.
        parameter: an array of the shape of the last axes of `x`.

    Returns:
        An array of the shape of `x`, in the wider of the two dtypes.

    Raises:
        EltypeMismatchError: float16 meets bfloat16.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> x = jnp.ones((50, 100, 2), jnp.bfloat16)
        >>> loss = lambda bias: jnp.sum(broadcasting(jnp.add, x, bias))
        >>> jax.grad(loss)(jnp.zeros(2, jnp.bfloat16)).tolist()
        [4992.0, 4992.0]
    """
    x, parameter = promote(x, parameter)
    last = tuple(range(x.ndim - parameter.ndim, x.ndim))

    def combined(x: Array, parameter: Array) -> Array:
        return operation(x, jax.lax.broadcast_in_dim(parameter, x.shape, last))

    return accumulating(combined, x, parameter)


def shared(tree: Tree) -> tuple[Tree, Callable[[Tree], Tree]]:
    """`tree` in the dtypes of its sums, and the function that restores its own dtypes.

    Use it for what a loop closes over: with the first outside and the second inside the loop, the
    derivatives of all steps are added in float32. Without float16 and bfloat16 these are `tree`
    itself and the identity.

    The exception is reverse mode over reverse mode, as in the gradient of a gradient's norm: JAX
    moves the rounding out of the loop before the second pass, which then adds up in the dtype of
    the leaf; were it kept inside, the first pass would store the leaf once for each step. Take one
    of the two in forward mode, as `jax.hessian` does.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def repeated(p):
        ...     wide, narrowed = shared(p)
        ...     step = lambda y, _: (y + narrowed(wide), None)
        ...     return jax.lax.scan(step, 0 * p, None, length=1000)[0]
        >>> jax.grad(repeated)(jnp.ones((), jnp.bfloat16)).item()
        1000.0
    """
    leaves, treedef = jax.tree.flatten(tree)
    if not any(map(_is_half, leaves)):
        return tree, lambda tree: tree
    dtypes = [leaf.dtype if _is_half(leaf) else None for leaf in leaves]

    def narrowed(tree: Tree) -> Tree:
        pairs = zip(jax.tree.leaves(tree), dtypes, strict=True)
        return treedef.unflatten([x if dtype is None else x.astype(dtype) for x, dtype in pairs])

    return treedef.unflatten([accumulated(leaf) for leaf in leaves]), narrowed


def _is_half(x: Leaf) -> bool:
    dtype = getattr(x, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize < 4
