"""Loops over a batch that run until all of its members have finished.

Under `vmap`, a while loop whose condition differs between members selects, at each iteration,
between the old and the new value of everything it carries. A condition over the whole batch avoids
that; the body must then leave members that have finished unchanged.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from ..._primitive import Primitive, register

largest_in_batch_p = Primitive("largest_in_batch")
any_in_batch_p = Primitive("any_in_batch")


def largest_in_batch(value: jax.Array) -> jax.Array:
    """`value`, an integer from 0; under `vmap` the largest of the batch, for each of it."""
    return largest_in_batch_p.bind(value)


def any_in_batch(flag: jax.Array) -> jax.Array:
    """`flag`; under `vmap` whether any of the batch is true."""
    return any_in_batch_p.bind(flag)


def _largest(args: Sequence[jax.Array], axes: Sequence[int | None]) -> tuple[jax.Array, None]:
    # Bound again, for a `vmap` around this one.
    # Of an empty batch, 0.
    return largest_in_batch(jnp.max(args[0], axis=axes[0], initial=0)), None


def _any(args: Sequence[jax.Array], axes: Sequence[int | None]) -> tuple[jax.Array, None]:
    # Not whether the largest number is above 0: a GPU would compare in one more kernel.
    return any_in_batch(jnp.any(args[0], axis=axes[0])), None


_one = {"run": lambda value: value, "types": lambda value: (value.shape, value.dtype)}
register(largest_in_batch_p, **_one, batch=_largest)
register(any_in_batch_p, **_one, batch=_any)
