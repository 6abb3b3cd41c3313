"""Small functions that layers are written with (LuxOps)."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact, Shaped

from .._op import op

Carry = TypeVar("Carry")


def getproperty(x: Any, name: str) -> Any:
    """The attribute or entry `name` of `x`, or None where there is none.

    Args:
        x: a `Record`, a mapping, or any object.
        name: of the entry.

    Returns:
        The entry, or None.

    Source: `LuxOps.getproperty` of Lux 1.31.

    Example:
        >>> getproperty({"bias": 1}, "bias"), getproperty({"bias": 1}, "weight")
        (1, None)
    """
    return x.get(name) if isinstance(x, Mapping) else getattr(x, name, None)


def istraining(x: Any) -> bool:
    """Whether a flag, or the entry `training` of a state, is on; a state without one is off.

    Args:
        x: True or False, such a flag as the states hold, or a state.

    Returns:
        True or False.

    Raises:
        TypeError: the flag is something else, such as an array: it decides what the program is,
            so it cannot be computed by one.

    Source: `LuxOps.istraining` of Lux 1.31.

    Example:
        >>> istraining({"training": True}), istraining({}), istraining(True)
        (True, False, True)
    """
    named = getproperty(x, "training")
    # A flag in a state is `Static`, whose value is the bool.
    flag = getattr(x if named is None else named, "value", x if named is None else named)
    if isinstance(flag, bool):
        return flag
    if named is not None or hasattr(x, "dtype"):
        raise TypeError(
            f"`istraining` expects the flag to be True or False, got {type(flag).__name__}. Set it "
            "with trainmode(st) or testmode(st)."
        )
    return False


@op("xs", "init")
def foldl_init(op: Callable[[Carry, Any], Carry], xs: Iterable[Any], *init: Carry) -> Carry:
    """op(... op(op(init, x₁), x₂) ..., xₙ), or from x₁ on where `init` is not given.

    A Python loop: the program has n copies of `op`, and `jax.lax.scan` has one.

    Args:
        op: of what was folded so far and the next entry.
        xs: a list, or an array, whose entries are those of its first axis.
        init: where to start, one value or none.

    Returns:
        The last result.

    Raises:
        TypeError: more than one `init`, or neither entries nor `init`.

    Source: `LuxOps.foldl_init` of Lux 1.31, which exists for the derivative by `init`; here every
        function has that.

    Example:
        >>> foldl_init(lambda folded, x: 10 * folded + x, [1, 2, 3], 4)
        4123
    """
    xs = list(xs)
    if len(init) > 1 or (not xs and not init):
        raise TypeError(
            f"`foldl_init` expects entries or one `init` to start from, got {len(xs)} entries and "
            f"{len(init)} more arguments."
        )
    return functools.reduce(op, xs, *init)


@op("x")
def eachslice(x: Shaped[Array, "..."], axis: int) -> list[Array]:
    """The slices of `x` along `axis`, which they do not have.

    Args:
        x: with an axis or more.
        axis: the one to go along.

    Returns:
        As many arrays as the axis is long.

    Raises:
        ValueError: an axis that is not there.

    Source: `LuxOps.eachslice` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> [part.tolist() for part in eachslice(jnp.eye(2, dtype=jnp.int32), 0)]
        [[1, 0], [0, 1]]
    """
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"`eachslice` expects `axis` to be one of `x`, got {axis} and {x.shape}.")
    return list(jnp.unstack(x, axis=axis))


@op("x")
def rsqrt(x: Inexact[Array, "*shape"]) -> Inexact[Array, "*shape"]:
    """1 / √x, entry by entry.

    Args:
        x: of any shape, floating or complex.

    Returns:
        Of the shape and dtype of `x`.

    Raises:
        TypeError: integers.

    Source: `LuxOps.rsqrt` of Lux 1.31.

    Example:
        >>> import jax.numpy as jnp
        >>> rsqrt(jnp.asarray([4.0, 0.25], jnp.float32)).tolist()
        [0.5, 2.0]
    """
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise TypeError(
            f"`rsqrt` expects `x` to be floating or complex, got {x.dtype}. Convert it to the "
            "float that you want back."
        )
    return jax.lax.rsqrt(x)
