"""The dtypes that users pass."""

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ._exact import require_exact_dtype


def resolve_dtype(dtype: DTypeLike | None, subject: str = "`dtype`") -> np.dtype:
    """`dtype` as a floating or complex NumPy dtype; float64 needs x64 on.

    Args:
        dtype: a dtype, a scalar type such as `jnp.float64`, or a name such as `"float64"`.
        subject: the first words of the message.

    Raises:
        TypeError: not a floating or complex dtype, or float64 while `jax_enable_x64` is off.

    Example:
        >>> import jax.numpy as jnp
        >>> resolve_dtype(jnp.float32).name
        'float32'
    """
    try:
        resolved = None if dtype is None else jnp.dtype(dtype)
    except TypeError:
        resolved = None
    if resolved is None or not jnp.issubdtype(resolved, jnp.inexact):
        raise TypeError(
            f"{subject} must be a floating or complex dtype, got {dtype!r}. "
            "Pass for example jnp.float32 or jnp.float64."
        )
    require_exact_dtype(resolved, subject)
    return resolved
