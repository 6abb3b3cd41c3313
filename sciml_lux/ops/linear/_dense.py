"""The dense map with bias and activation."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Inexact

from ...precision import broadcasting, promote
from .._op import op


@op("weight", "x", "bias")
def fused_dense_bias_activation(
    activation: Callable[[Array], Array],
    weight: Inexact[Array, "out_dims in_dims"],
    x: Inexact[Array, "... in_dims"],
    bias: Inexact[Array, " out_dims"] | None = None,
    *,
    precision: jax.lax.Precision | str = jax.lax.Precision.HIGHEST,
) -> Inexact[Array, "... out_dims"]:
    """activation(x Wᵀ + b), over the last axis of `x`.

    Args:
        activation: elementwise function.
        weight: (out_dims, in_dims).
        x: (..., in_dims).
        bias: (out_dims,), or None.
        precision: of the matrix product. The default keeps float32 full float32 on accelerators,
            where JAX's own default is TF32 or bfloat16 passes.

    Returns:
        (..., out_dims) in the widest of the dtypes.

    Raises:
        ValueError: the shapes do not fit.

    Source: `fused_dense_bias_activation` of LuxLib 1.15, features last. XLA fuses bias and
        activation; the product is the library call of the platform.

    Example:
        >>> import jax.numpy as jnp
        >>> w = jnp.ones((3, 2), jnp.float32)
        >>> fused_dense_bias_activation(jnp.tanh, w, jnp.zeros((5, 2), jnp.float32)).shape
        (5, 3)
    """
    if x.ndim == 0 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"`fused_dense_bias_activation` expects `weight` (out_dims, in_dims) and `x` "
            f"(..., in_dims), got {weight.shape} and {x.shape}."
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"`fused_dense_bias_activation` expects `bias` of shape {weight.shape[:1]}, got "
            f"{bias.shape}."
        )
    x, weight = promote(x, weight)
    bias = None if bias is None else promote(bias)[0]
    return activation(_affine(weight, x, bias, precision))


# Compiled as one where it is called eagerly, as `jnp.matmul` is; inlined where it is compiled.
@functools.partial(jax.jit, static_argnums=3, inline=True)
def _affine(weight: Array, x: Array, bias: Array | None, precision: Any) -> Array:
    contract_features = (((x.ndim - 1,), (1,)), ((), ()))
    y = jax.lax.dot_general(x, weight, contract_features, precision=precision)
    if bias is not None:
        y = broadcasting(jax.lax.add, y, bias)
    return y
