"""The trees of a model as shapes, dtypes and names, without an array."""

from typing import Any

import jax
import jax.numpy as jnp

from ..precision import resolve_dtype


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


def _structure(initial: Any, dtype: Any) -> Any:
    key = jax.eval_shape(lambda: jax.random.key(0))
    resolved = resolve_dtype(dtype)
    return jax.eval_shape(lambda key: initial(key, resolved), key)
