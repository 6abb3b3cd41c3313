"""Making parameters and states, and counting them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PyTree

from ..precision.internal import require_exact_floats, resolve_dtype
from ._contract import is_layer, layer_name
from ._guard import apply
from ._seeded_key import seeded_key
from ._static import Static
from ._structure import parameter_structure, state_structure
from ._tree import describe
from ._types import Key, LayerLike, Parameters, States


def setup(
    key: Key | int, model: LayerLike, dtype: DTypeLike = jnp.float32
) -> tuple[Parameters, States]:
    """The initial parameters and states of `model`.

    Args:
        key: a typed random key, or an integer seed.
        model: the layer.
        dtype: the floating or complex dtype of all parameters and states.

    Returns:
        `ps, st`, two trees.

    Raises:
        ValueError: JAX would cut the seed.
        TypeError: `model` is not a layer, `key` is neither a typed key nor an integer, or `dtype`
            is float64 while `jax_enable_x64` is off.

    Source: `LuxCore.setup`; ours does not advance a generator, since keys are values.

    Example:
        >>> import jax
        >>> from sciml_lux import nn
        >>> ps, st = setup(jax.random.key(0), nn.Chain(nn.Dense(2, 3, nn.tanh), nn.Dense(3, 1)))
        >>> ps.layer_1.weight.shape, ps["layer_2"]["bias"].shape
        ((3, 2), (1,))
    """
    if not is_layer(model):
        raise TypeError(
            f"`setup` expects `model` to be a layer, got {type(model).__name__}. A layer is a "
            "subclass of `Layer` or has initial_parameters, initial_states and __call__; the "
            "order is setup(key, model)."
        )
    dtype = resolve_dtype(dtype, "`setup`: `dtype`")
    key = _typed_key(key)
    ps = model.initial_parameters(jax.random.fold_in(key, 0), dtype)
    st = model.initial_states(jax.random.fold_in(key, 1), dtype)
    return ps, st


def _typed_key(key: object) -> Key:
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return seeded_key(int(key), "`setup`")
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    raise TypeError(
        f"`setup` expects a typed random key or an integer seed, got {type(key).__name__}. "
        "Make one with jax.random.key(seed)."
    )


def stateless_apply(model: LayerLike, x: PyTree, ps: Parameters) -> Any:
    """The output of a layer without states: `y` alone.

    Args:
        model: the layer.
        x: input, an array or a tree of arrays.
        ps: parameters.

    Raises:
        ValueError: the layer has states.

    Source: `LuxCore.stateless_apply`.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn
        >>> ps, _ = setup(0, nn.Dense(2, 3))
        >>> stateless_apply(nn.Dense(2, 3), jnp.ones((1, 2), jnp.float32), ps).shape
        (1, 3)
    """
    if state_length(model):
        raise ValueError(
            f"`stateless_apply` expects a layer without states, got `{layer_name(model)}` with "
            f"{state_length(model)}. Call y, st = model(x, ps, st) and keep `st`."
        )
    st = model.initial_states(jax.random.key(0), jnp.dtype(jnp.float32))
    return apply(model, x, ps, st)[0]


def parameter_length(model_or_ps: LayerLike | Parameters) -> int:
    """The number of parameters of a layer or of a tree of parameters.

    Source: `LuxCore.parameterlength`; ours allocates nothing.

    Example:
        >>> from sciml_lux import nn
        >>> parameter_length(nn.Dense(2, 3))
        9
    """
    ps = parameter_structure(model_or_ps) if is_layer(model_or_ps) else model_or_ps
    return sum(math.prod(np.shape(leaf)) for leaf in jax.tree.leaves(ps))


def state_length(model_or_st: LayerLike | States) -> int:
    """The number of states of a layer or of a tree of states: arrays count their size, flags one.

    Source: `LuxCore.statelength`; a random key counts one, as a generator does there.

    Example:
        >>> from sciml_lux import nn
        >>> state_length(nn.BatchNorm(2))
        5
    """
    st = state_structure(model_or_st) if is_layer(model_or_st) else model_or_st
    leaves = jax.tree.leaves(st, is_leaf=lambda node: node is None or isinstance(node, Static))
    return sum(int(np.prod(getattr(leaf, "shape", ()))) for leaf in leaves)


def output_size(model: LayerLike, x: PyTree, key: Key | int = 0) -> Any:
    """The shape of the output for the input `x`, without the leading batch axis.

    Args:
        model: the layer.
        x: an array or `jax.ShapeDtypeStruct` (batch, ...), or a tree of them.
        key: a key or an integer seed, for layers whose structure depends on it.

    Returns:
        A tuple of integers, or a tree of tuples where the output is a tree. Nothing is computed
        and nothing is allocated.

    Source: `LuxCore.outputsize`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn
        >>> output_size(nn.Dense(2, 3), jax.ShapeDtypeStruct((8, 2), jnp.float32))
        (3,)
    """
    y, _ = output_structure(model, x, key)
    return jax.tree.map(lambda leaf: tuple(leaf.shape[1:]), y)


def output_structure(model: LayerLike, x: PyTree, key: Key | int = 0) -> Any:
    """The output for the input `x`, and the parameters, as shapes and dtypes.

    Parameters have the dtype of `x`.
    """
    require_exact_floats(x, "`x`")
    for leaf in jax.tree.leaves(x):
        if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
            raise TypeError(
                f"`{layer_name(model)}` expects `x` to be an array or a tree of arrays, got "
                f"{describe(leaf)}. For a shape pass jax.ShapeDtypeStruct((8, 2), jnp.float32)."
            )
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(x) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    dtype = dtypes[0] if dtypes else jnp.float32

    def forward(key: Key, x: PyTree) -> Any:
        ps, st = setup(key, model, dtype)
        return apply(model, x, ps, st)[0], ps

    return jax.eval_shape(forward, jax.eval_shape(lambda: _typed_key(key)), x)
