"""The trees of a model as names, shapes and dtypes, without arrays."""

import functools
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PyTree

from ..precision.internal import resolve_dtype
from ._types import Key, LayerLike, Parameters, States

Initial: TypeAlias = Callable[[Key, np.dtype], PyTree]
"""The `initial_parameters` or `initial_states` of a layer."""


def parameter_structure(model: LayerLike, dtype: DTypeLike = jnp.float32) -> Parameters:
    """The parameters of `model` as a tree of shapes and dtypes; nothing is allocated.

    Example:
        >>> from sciml_lux import nn
        >>> parameter_structure(nn.Dense(2, 3)).bias
        ShapeDtypeStruct(shape=(3,), dtype=float32)
    """
    return _structure(model.initial_parameters, dtype)


def state_structure(model: LayerLike, dtype: DTypeLike = jnp.float32) -> States:
    """The states of `model` as a tree of shapes and dtypes; nothing is allocated.

    Example:
        >>> from sciml_lux import nn
        >>> state_structure(nn.BatchNorm(2)).running_mean
        ShapeDtypeStruct(shape=(2,), dtype=float32)
    """
    return _structure(model.initial_states, dtype)


def known_structure(initial: Initial) -> PyTree:
    """The tree that `initial(key, dtype)` makes, as shapes; None where JAX cannot trace it.

    It cannot trace a layer that reads its numbers from a file, draws them with NumPy, or has
    another number of them for each key. A call does without the structure then.
    """
    try:
        return _structure(initial, jnp.float32)
    except Exception:  # Whatever the user's code raises; `setup` will show it.
        return None


def _structure(initial: Initial, dtype: DTypeLike) -> PyTree:
    resolved = resolve_dtype(dtype)
    kind = jax.config.jax_default_prng_impl  # pyright: ignore[reportAttributeAccessIssue]
    return jax.eval_shape(lambda key: initial(key, resolved), _key_of(kind))


@functools.cache
def _key_of(kind: str) -> jax.ShapeDtypeStruct:
    # Cached, since a model that is rebuilt for each call would trace it each time.
    return jax.eval_shape(lambda: jax.random.key(0, impl=kind))
