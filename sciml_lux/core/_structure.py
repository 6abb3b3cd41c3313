"""The trees of a model as shapes, dtypes and names, without an array."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..precision.internal import resolve_dtype


def parameter_structure(model: Any, dtype: Any = jnp.float32) -> Any:
    """The tree of parameters of `model` as shapes and dtypes; nothing is allocated.

    Example:
        >>> from sciml_lux import nn
        >>> parameter_structure(nn.Dense(2, 3)).bias
        ShapeDtypeStruct(shape=(3,), dtype=float32)
    """
    return _structure(model.initial_parameters, dtype)


def state_structure(model: Any, dtype: Any = jnp.float32) -> Any:
    """The tree of states of `model` as shapes and dtypes; nothing is allocated.

    Example:
        >>> from sciml_lux import nn
        >>> state_structure(nn.BatchNorm(2)).running_mean
        ShapeDtypeStruct(shape=(2,), dtype=float32)
    """
    return _structure(model.initial_states, dtype)


def known_structure(initial: Callable[..., Any]) -> Any:
    """The tree that `initial(key, dtype)` makes, as shapes; None where JAX cannot trace it.

    Such is a layer that reads its numbers from a file, draws them by NumPy, or has another number
    of them for each key: a call does without.
    """
    try:
        return _structure(initial, jnp.float32)
    except Exception:  # Whatever a user's own code raises; `setup` shows it.
        return None


def _structure(initial: Any, dtype: Any) -> Any:
    resolved = resolve_dtype(dtype)
    kind = jax.config.jax_default_prng_impl  # pyright: ignore[reportAttributeAccessIssue]
    return jax.eval_shape(lambda key: initial(key, resolved), _key_of(kind))


@functools.cache
def _key_of(kind: str) -> jax.ShapeDtypeStruct:
    # A model that is built anew at each call would trace it each time.
    return jax.eval_shape(lambda: jax.random.key(0, impl=kind))
