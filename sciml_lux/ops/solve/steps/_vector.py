"""The leaves of a state as one real vector, of which a Jacobian is a matrix."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp

from ._step import Leaves


class Vector:
    """The layout of the vector: one leaf after the other, of a complex one the real parts first.

    Args:
        leaves: of a state.
    """

    def __init__(self, leaves: Leaves) -> None:
        self.types = [jax.typeof(leaf) for leaf in leaves]
        kinds = [jnp.finfo(kind.dtype).dtype for kind in self.types]
        self.dtype = max(kinds, key=lambda dtype: dtype.itemsize)
        sizes = [k.size * (2 if _is_complex(k) else 1) for k in self.types]
        self.ends = list(itertools.accumulate(sizes))

    @property
    def size(self) -> int:
        """The number of its components."""
        return self.ends[-1]

    def joined(self, leaves: Leaves) -> jax.Array:
        """The vector of these leaves."""
        parts = [p for x in leaves for p in ((x.real, x.imag) if jnp.iscomplexobj(x) else (x,))]
        return jnp.concatenate([part.reshape(-1).astype(self.dtype) for part in parts])

    def leaves(self, vector: jax.Array) -> Leaves:
        """The leaves of a vector; of rows of them, leaves with that axis before their own."""
        parts = jnp.split(vector, self.ends[:-1], axis=-1)
        return [_leaf(part, kind) for part, kind in zip(parts, self.types, strict=True)]


def _leaf(part: jax.Array, kind: Any) -> jax.Array:
    shape = (*part.shape[:-1], *kind.shape)
    if not _is_complex(kind):
        return part.reshape(shape).astype(kind.dtype)
    real = jnp.finfo(kind.dtype).dtype
    first, second = (half.reshape(shape).astype(real) for half in jnp.split(part, 2, axis=-1))
    return jax.lax.complex(first, second)


def _is_complex(kind: Any) -> bool:
    return jnp.issubdtype(kind.dtype, jnp.complexfloating)
