"""Loops that go on while any of a batch does.

A while loop whose condition differs over a batch of `vmap` becomes one that selects, at each
iteration, between old and new of everything it carries. With a condition over the whole batch it
carries on as it is; its body must leave alone what has come to its end.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ._primitive import Primitive, register

largest_in_batch_p = Primitive("largest_in_batch")


def largest_in_batch(value: jax.Array) -> jax.Array:
    """`value`, an integer from 0, and under `vmap` the largest of the batch, the same for all."""
    return largest_in_batch_p.bind(value)


def any_in_batch(flag: jax.Array) -> jax.Array:
    """`flag`, and under `vmap` whether one of the batch is true."""
    return largest_in_batch(flag.astype(jnp.int32)) > 0


def _batch(args: Sequence[jax.Array], axes: Sequence[int | None]) -> tuple[jax.Array, None]:
    # Bound again, for a `vmap` around this one.
    # Of an empty batch, 0.
    return largest_in_batch(jnp.max(args[0], axis=axes[0], initial=0)), None


register(
    largest_in_batch_p,
    run=lambda value: value,
    types=lambda value: (value.shape, value.dtype),
    batch=_batch,
)
