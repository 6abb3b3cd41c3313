"""The dtypes that JAX has."""

import jax
import numpy as np
from jax.typing import DTypeLike

from ..precision import require_x64


def require_jax_dtype(dtype: DTypeLike, subject: str) -> None:
    """Raise unless JAX has `dtype`, as it is.

    Args:
        dtype: the dtype of an array.
        subject: the array, the first words of the message.

    Raises:
        TypeError: JAX has no such dtype, as for text, or would narrow it, as int64 with x64 off.

    Example:
        >>> import numpy as np
        >>> require_jax_dtype(np.dtype("U3"), "`name`")
        Traceback (most recent call last):
        ...
        TypeError: `name` is of dtype <U3, which JAX does not have. Leave it out, or convert it.
    """
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended):
        return  # Random keys.
    if not (jax.dtypes.issubdtype(dtype, np.number) or dtype == np.bool_):
        raise TypeError(
            f"{subject} is of dtype {dtype}, which JAX does not have. Leave it out, or convert it."
        )
    require_x64(dtype, subject)
    narrow = jax.dtypes.canonicalize_dtype(dtype)
    if narrow != dtype:
        raise TypeError(
            f"{subject} is {dtype}, but jax_enable_x64 is off and JAX would cut it to {narrow}. "
            f"Turn it on before any array is made, or convert to {narrow} yourself."
        )
