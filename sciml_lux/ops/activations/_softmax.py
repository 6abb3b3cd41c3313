"""The softmax family."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ...precision import accumulated
from ._real_numbers import of_real_numbers

Axes = int | tuple[int, ...]


@of_real_numbers
def softmax(x: Float[Array, "*shape"], *, axis: Axes = -1) -> Float[Array, "*shape"]:
    """eˣ / Σ eˣ over `axis`.

    An entry of -inf is masked: it gives 0, with derivative 0, and changes no other. Where all are
    masked, all give 0, with derivative 0. An entry of +inf gives NaN there and 0 elsewhere.

    Args:
        x: of any shape; float16 and bfloat16 are summed in float32.
        axis: over which the sum is taken, one or several.

    Returns:
        Of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not floating.

    Source: `softmax` of NNlib, as Lux 1.31 exports it, features last; that one gives NaN where all
        are masked.

    Example:
        >>> import jax.numpy as jnp
        >>> softmax(jnp.asarray([[0.0, 0.0, -jnp.inf], [-jnp.inf] * 3], jnp.float32)).tolist()
        [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    parts, total, _ = _parts("softmax", x, axis)
    return (parts / _nonzero(total)).astype(x.dtype)


@of_real_numbers
def logsoftmax(x: Float[Array, "*shape"], *, axis: Axes = -1) -> Float[Array, "*shape"]:
    """log softmax(x) = x - log Σ eˣ over `axis`.

    A masked entry, -inf, gives -inf, and changes no other; where all are masked all give -inf, with
    derivative 0. An entry of +inf gives NaN there and -inf elsewhere.

    Args:
        x: of any shape; float16 and bfloat16 are summed in float32.
        axis: over which the sum is taken, one or several.

    Returns:
        Of the shape and dtype of `x`.

    Raises:
        TypeError: `x` is not floating.

    Source: `logsoftmax` of NNlib, as Lux 1.31 exports it, features last.

    Example:
        >>> import jax.numpy as jnp
        >>> logsoftmax(jnp.asarray([0.0, 1000.0], jnp.float32)).tolist()
        [-1000.0, 0.0]
    """
    _, total, shift = _parts("logsoftmax", x, axis)
    y = accumulated(x) - shift - jnp.log(_nonzero(total))
    return jnp.where(total == 0, jnp.full_like(y, -jnp.inf), y).astype(x.dtype)


@of_real_numbers
def logsumexp(
    x: Float[Array, "*shape"], *, axis: Axes = -1, keepdims: bool = False
) -> Float[Array, "*reduced"]:
    """log Σ eˣ over `axis`, without overflow.

    A masked entry, -inf, adds nothing and has derivative 0, also where all are masked, which gives
    -inf. An entry of +inf gives +inf.

    Args:
        x: of any shape; float16 and bfloat16 are summed in float32.
        axis: over which the sum is taken, one or several.
        keepdims: whether the axis stays, with size 1.

    Returns:
        The shape of `x` without the axis, in its dtype.

    Raises:
        TypeError: `x` is not floating.

    Source: `logsumexp` of NNlib, as Lux 1.31 exports it, features last.

    Example:
        >>> import jax.numpy as jnp
        >>> round(logsumexp(jnp.asarray([1000.0, 1000.0], jnp.float32)).item(), 3)
        1000.693
    """
    _, total, shift = _parts("logsumexp", x, axis)
    y = shift + jnp.log(_nonzero(total))
    y = jnp.where(total == 0, jnp.full_like(y, -jnp.inf), y).astype(x.dtype)
    return y if keepdims else jnp.squeeze(y, _axes_of(x, axis))


def _parts(name: str, x: Array, axis: Axes) -> tuple[Array, Array, Array]:
    """e^(x - shift), its sum, and the shift: the largest entry, where that is finite."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"`{name}` expects `x` to be floating, got {x.dtype}. Convert it to the float that you "
            "want back."
        )
    x, axis = accumulated(x), _axes_of(x, axis)
    largest = jnp.max(x, axis, keepdims=True, initial=-jnp.inf)
    # Any shift gives the same values, so the derivatives need not follow it.
    shift = jax.lax.stop_gradient(
        jnp.where(jnp.isfinite(largest), largest, jnp.zeros_like(largest))
    )
    parts = jnp.exp(x - shift)
    return parts, jnp.sum(parts, axis, keepdims=True), shift


def _axes_of(x: Array, axis: Axes) -> Axes:
    """`axis`, of which a single number has none."""
    return axis if x.ndim else ()


def _nonzero(total: Array) -> Array:
    """The sum, and 1 where every entry was masked."""
    return jnp.where(total == 0, jnp.ones_like(total), total)
