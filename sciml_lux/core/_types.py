"""Names for the types in the signatures of layers.

All but `Key` mean `Any` to a type checker: a model's trees take their form from the model, and a
layer needs no base class.
"""

from typing import Any, TypeAlias

import jax

Parameters: TypeAlias = Any
"""The parameters of a layer: a tree of arrays, a `Record` unless the layer says otherwise."""

States: TypeAlias = Any
"""The states of a layer: a tree of arrays and `Static` values, most often a `Record`."""

Key: TypeAlias = jax.Array
"""A random key, such as `jax.random.key(0)`."""

LayerLike: TypeAlias = Any
"""A layer by its methods (see `is_layer`), or a function where the argument allows one."""
