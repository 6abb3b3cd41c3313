"""Embedding: a table of vectors, read by index."""

import dataclasses
from typing import Any, ClassVar

import jax
import numpy as np
from jaxtyping import Array, Inexact, Integer

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import is_integer, subject
from ...initializers import Initializer, uniform
from ...ops import gather


class Embedding(Layer):
    """y = W[x], the row of W at each index in x.

    Args:
        in_dims: size of the vocabulary; a tuple of sizes for a vocabulary of several axes.
        out_dims: size of a row.
        init_weight: initialiser of W; by default U(0, 1).

    Inputs: x (...), integers from 0, of any shape; for a vocabulary of several axes a tuple of
        such arrays, all of one shape, one for each axis.

    Returns: y (..., out_dims) in the dtype of W. An index outside the vocabulary, negative ones
        included, gives a row of NaN and no gradient to any row: traced values cannot be checked,
        and nothing is clamped.

    Parameters: weight (*in_dims, out_dims).

    Raises:
        TypeError: indices that are not integers.
        ValueError: sizes below 1; the number of index arrays is not that of the axes of the
            vocabulary, or their shapes differ; a weight of another shape.

    Source: `Embedding` of Lux 1.31, which counts from 1, has the axes of W in reverse order, and
        raises an error for an index outside.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Embedding(10, 4)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.asarray([[1, 2, 3], [9, 0, 1]]), ps, st)[0].shape
        (2, 3, 4)
    """

    takes_indices: ClassVar[bool] = True

    in_dims: int | tuple[int, ...]
    out_dims: int
    _: dataclasses.KW_ONLY
    init_weight: Initializer | None = None

    def __post_init__(self) -> None:
        """Check the sizes."""
        sizes = (*self._vocabulary, self.out_dims)
        if not all(is_integer(size) for size in sizes):
            raise TypeError(
                f"`Embedding` expects `in_dims` to be an integer or a tuple of integers and "
                f"`out_dims` an integer, got {self.in_dims!r} and {self.out_dims!r}."
            )
        if not self._vocabulary or min(sizes) < 1:
            raise ValueError(
                f"`Embedding` expects sizes of at least 1, got {self.in_dims!r} (`in_dims`) and "
                f"{self.out_dims} (`out_dims`)."
            )

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The table."""
        init_weight = self.init_weight or _between_zero_and_one
        return Record(weight=init_weight(key, (*self._vocabulary, self.out_dims), dtype))

    def __call__(
        self, x: Integer[Array, "..."] | tuple[Array, ...], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "... out_dims"], States]:
        """The rows, and `st` as it was."""
        indices = x if isinstance(x, tuple) else (x,)
        if isinstance(x, tuple) != isinstance(self.in_dims, tuple) or (
            len(indices) != len(self._vocabulary)
        ):
            raise ValueError(
                f"{subject(self)} expects {self._expected} of indices (`in_dims` is "
                f"{self.in_dims}), got {_described(x)}."
            )
        for index in indices:
            if not hasattr(index, "shape"):
                raise TypeError(
                    f"{subject(self)} expects indices to be arrays, got {type(index).__name__}. "
                    "Convert them: jnp.asarray(x)."
                )
        if ps.weight.shape != (*self._vocabulary, self.out_dims):
            raise ValueError(
                f"{subject(self)} expects the parameter `weight` to be (*in_dims, out_dims) = "
                f"{(*self._vocabulary, self.out_dims)}, got shape {ps.weight.shape}. Pass the "
                "parameters that setup(key, model) made for this model."
            )
        return gather(ps.weight, *indices), st

    @property
    def _vocabulary(self) -> tuple[int, ...]:
        return self.in_dims if isinstance(self.in_dims, tuple) else (self.in_dims,)

    @property
    def _expected(self) -> str:
        if isinstance(self.in_dims, tuple):
            return f"`x` to be a tuple of {len(self.in_dims)} arrays"
        return "`x` to be one array"


def _described(x: Any) -> str:
    return f"a tuple of {len(x)}" if isinstance(x, tuple) else type(x).__name__


def _between_zero_and_one(key: Key, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
    return uniform(bound=0.5)(key, shape, dtype) + 0.5
