"""Dtypes that JAX has and keeps."""

from typing import Any

import jax
import numpy as np

from ..precision import require_x64


def require_jax_dtype(dtype: Any, subject: str) -> None:
    """Raise unless JAX has `dtype` as it is.

    Raises:
        TypeError: it has none such, as for text, or would narrow it, as int64 with x64 off.
    """
    if jax.dtypes.issubdtype(dtype, jax.dtypes.extended):
        return  # Random keys.
    if not (jax.dtypes.issubdtype(dtype, np.number) or dtype == np.bool_):
        raise TypeError(
            f"{subject} is of dtype {dtype}, which JAX has not. Leave it out, or convert it."
        )
    require_x64(dtype, subject)
    kept = jax.dtypes.canonicalize_dtype(dtype)
    if kept != dtype:
        raise TypeError(
            f"{subject} is {dtype}, but jax_enable_x64 is off and JAX would cut it to {kept}. Turn "
            f"it on before any array is made, or convert to {kept} yourself."
        )
