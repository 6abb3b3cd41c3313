"""Names for the types in the signatures of layers.

All but `Key` are `Any` to a type checker: the form of a model's trees depends on the model, and a
layer need not have a base class.
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

Children: TypeAlias = Any
"""The children of a layer: layers by name, or in order, nested in dicts and tuples."""
