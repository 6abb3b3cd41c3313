"""NumPy scalars as Python numbers, which take the dtype of the data."""

from typing import Any

import numpy as np


def python_numbers(value: Any) -> Any:
    """`value` with a Python number for each NumPy scalar, also inside tuples.

    NumPy scalars are strongly typed in JAX and would widen float32 data; Python's are not.

    Example:
        >>> python_numbers((np.float64(0.5), "add"))
        (0.5, 'add')
    """
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is tuple:
        return tuple(map(python_numbers, value))
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(python_numbers, value))
    return value
