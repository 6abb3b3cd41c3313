"""exact_schedule: a schedule in float64 where x64 is on; optax computes in float32."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core.primitives import convert_element_type_p

from ...precision.internal import x64_enabled

Schedule = Callable[[Any], Any]


def exact_schedule(schedule: Schedule) -> Schedule:
    """`schedule` evaluated on a float64 count (float32 where x64 is off).

    With x64 on, optax divides its int32 step count in float32, which leaves a learning rate with
    seven digits in a float64 training, in some schedules under a float64 dtype. On a float count
    the same formulas are exact.

    Args:
        schedule: any function of the step count, of optax or your own. One that needs an integer,
            to index or to loop, gets an int32.

    Returns:
        A function of the step count that returns a float64 scalar (float32 where x64 is off),
        of weak type: like a Python number, it takes the dtype of narrower parameters.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> rate = exact_schedule(optax.exponential_decay(0.1, 10, 0.9))
        >>> abs(float(rate(jnp.asarray(17, jnp.int32))) / (0.1 * 0.9**1.7) - 1) < 1e-6
        True
    """

    @functools.wraps(schedule)
    def exact(count: jax.Array) -> jax.Array:
        dtype = jnp.dtype(jnp.float64 if x64_enabled() else jnp.float32)
        with jax.numpy_dtype_promotion("standard"):
            try:
                value = schedule(jnp.asarray(count, dtype))
            except TypeError:  # JAX's, for an index or a branch that is not an integer.
                value = schedule(jnp.asarray(count, jnp.int32))
            value = jnp.asarray(value, dtype)
        # `astype` cannot ask for a weak type.
        return convert_element_type_p.bind(value, new_dtype=dtype, weak_type=True, sharding=None)

    return exact
