"""Whether the steps of an explicit solver are limited by stability, not by accuracy."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.flatten_util import ravel_pytree
from jaxtyping import PyTree

_ITERATIONS = 16


def is_stiff(field: Callable[[Any], Any], u: PyTree, step: float) -> bool:
    """Whether steps of length `step` at u are as long as stability allows, and u hardly moves.

    Explicit methods are stable for step * rho up to between 2 and 6, with the fastest rate rho, the
    largest eigenvalue of df/du; it is estimated by iterating with the Jacobian. Steps limited by
    accuracy are shorter, or the solution itself changes at that rate.

    Args:
        field: du/dt of a state.
        u: the state.
        step: the length of the steps.
    """
    flat, unravel = ravel_pytree(u)
    slope, derivative = jax.linearize(lambda flat: ravel_pytree(field(unravel(flat)))[0], flat)
    if isinstance(slope, Tracer):  # The field closes over something that is being transformed.
        return False
    direction = jax.random.normal(jax.random.key(0), flat.shape, flat.dtype)
    rates = []
    for _ in range(_ITERATIONS):
        size = float(jnp.linalg.norm(direction))
        if not 0 < size < float("inf"):
            return False
        direction = derivative(direction / jnp.asarray(size, flat.dtype))
        rates.append(float(jnp.linalg.norm(direction)))
    # A mean, as the sizes of a rotating direction go up and down.
    rate = sum(rates[_ITERATIONS // 2 :]) / (_ITERATIONS - _ITERATIONS // 2)
    moved = float(jnp.linalg.norm(slope)) * step / max(float(jnp.linalg.norm(flat)), 1e-300)
    return step * rate > 1 and moved < 0.1 * step * rate
