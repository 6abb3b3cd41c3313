"""Names for types in the signatures of this package."""

from typing import Any, TypeAlias

import jax
import numpy as np

Leaf: TypeAlias = Any
"""A leaf of a tree: an array of JAX or NumPy, a shape, or any object that is not a tree."""

AnyArray: TypeAlias = jax.Array | np.ndarray | np.generic
"""An array of JAX or NumPy, or a scalar of NumPy."""
