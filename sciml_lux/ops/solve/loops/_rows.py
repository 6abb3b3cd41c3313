"""One row of an array of rows, at a number that is never negative.

So that programs have no instructions for negative ones: compiling is most of a first call.
"""

import functools

import jax

row_of = functools.partial(
    jax.lax.dynamic_index_in_dim, axis=0, keepdims=False, allow_negative_indices=False
)
"""`row_of(rows, number)`: that row."""

with_row = functools.partial(
    jax.lax.dynamic_update_index_in_dim, axis=0, allow_negative_indices=False
)
"""`with_row(rows, row, number)`: the rows with that one replaced."""
