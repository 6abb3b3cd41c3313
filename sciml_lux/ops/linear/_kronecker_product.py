"""The Kronecker product of vectors."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ...precision import accumulating, promote
from .._op import op


@op("factors")
def kronecker_product(*factors: Inexact[Array, "... dims"]) -> Inexact[Array, "... product"]:
    """a ⊗ b ⊗ ..., over the last axis: entry i·len(b) + j of a ⊗ b is aᵢ bⱼ.

    Args:
        *factors: one or more arrays with the same leading axes.

    Returns:
        (..., product of the last axes), in the widest of the dtypes. The last factor varies
        fastest, as in `numpy.kron`.

    Raises:
        ValueError: no factors, or other leading axes.

    Example:
        >>> import jax.numpy as jnp
        >>> a, b = jnp.asarray([1.0, 2.0], jnp.float32), jnp.asarray([1.0, 10.0], jnp.float32)
        >>> kronecker_product(a, b).tolist()
        [1.0, 10.0, 2.0, 20.0]
    """
    leading = {factor.shape[:-1] if factor.ndim else None for factor in factors}
    if len(leading) != 1 or None in leading:
        raise ValueError(
            "`kronecker_product` expects one or more arrays with the same leading axes, got "
            f"shapes {[factor.shape for factor in factors]}."
        )
    return functools.reduce(functools.partial(accumulating, _pair), promote(*factors))


def _pair(a: Array, b: Array) -> Array:
    product = jnp.expand_dims(a, -1) * jnp.expand_dims(b, -2)
    return product.reshape(*a.shape[:-1], a.shape[-1] * b.shape[-1])
