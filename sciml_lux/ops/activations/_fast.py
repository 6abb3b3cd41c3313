"""Activations as operations, with a bias or without."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Inexact

from ...precision import broadcasting
from .._op import op


@op("x")
def fast_activation(
    activation: Callable[[Array], Array], x: Inexact[Array, "*shape"]
) -> Inexact[Array, "*shape"]:
    """activation(x), entry by entry.

    Nothing is approximated: it is the activation given that is computed, and XLA fuses it with
    the operations around it.

    Args:
        activation: elementwise function.
        x: of any shape.

    Returns:
        Of the shape of `x`.

    Raises:
        ValueError: the activation changed the shape.

    Source: `fast_activation` of LuxLib 1.15.

    Example:
        >>> import jax.numpy as jnp
        >>> fast_activation(jnp.tanh, jnp.zeros(2, jnp.float32)).tolist()
        [0.0, 0.0]
    """
    y = activation(x)
    if y.shape != x.shape:
        raise ValueError(
            "`fast_activation` expects `activation` to act on each entry, got a function that "
            f"turns shape {x.shape} into {y.shape}."
        )
    return y


@op("x")
def bias_activation(
    activation: Callable[[Array], Array],
    x: Inexact[Array, "*batch features"],
    bias: Inexact[Array, " features"] | None = None,
) -> Inexact[Array, "*batch features"]:
    """activation(x + b), with a bias for each entry of the last axis.

    Args:
        activation: elementwise function.
        x: (..., features).
        bias: (features,), or None.

    Returns:
        (..., features) in the wider of the dtypes.

    Raises:
        ValueError: the shapes do not fit, or the activation changed the shape.

    Source: `bias_activation` of LuxLib 1.15, features last.

    Example:
        >>> import jax.numpy as jnp
        >>> x, bias = jnp.zeros((1, 2), jnp.float32), jnp.asarray([1.0, -1.0], jnp.float32)
        >>> bias_activation(jnp.abs, x, bias).tolist()
        [[1.0, 1.0]]
    """
    if bias is None:
        return fast_activation(activation, x)
    if x.ndim == 0 or bias.shape != x.shape[-1:]:
        raise ValueError(
            f"`bias_activation` expects `bias` to be as long as the last axis of `x`, got "
            f"{bias.shape} and {x.shape}."
        )
    return fast_activation(activation, broadcasting(jax.lax.add, x, bias))
