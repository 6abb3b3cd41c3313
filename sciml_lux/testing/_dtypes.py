"""A layer's dtypes, proved on its program."""

from typing import Any

import jax
import jax.numpy as jnp

from ..core import Layer, apply, first_difference, layer_name, setup
from ..precision import assert_no_narrowing, x64_enabled

_DTYPES = ("float16", "bfloat16", "float32", "float64")


def assert_dtype_preserved(
    layer: Layer, x: Any, dtypes: tuple[str, ...] | None = None, grads: int = 1
) -> None:
    """Raise unless `layer` keeps each dtype in value, state, gradients and everything between.

    Nothing is run: the programs are traced and read.

    Args:
        layer: anything that keeps the contract of a layer.
        x: an input, whose floating leaves are taken in each dtype; arrays or
            `jax.ShapeDtypeStruct`.
        dtypes: names of dtypes; by default float16, bfloat16, float32, and float64 if x64 is on.
        grads: 0, 1 or 2 derivatives.

    Raises:
        AssertionError: names the layer, the dtype, and the cast with its source line.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import nn
        >>> assert_dtype_preserved(nn.Dense(2, 3, nn.tanh), jnp.ones((4, 2), jnp.float32))
    """
    for dtype in dtypes or _DTYPES[: 4 if x64_enabled() else 3]:
        try:
            _assert_one(layer, _in_dtype(x, dtype), jnp.dtype(dtype), grads)
        except AssertionError as error:
            error.add_note(f"`{layer_name(layer)}` in {dtype}")
            raise


def _assert_one(layer: Any, x: Any, dtype: Any, grads: int) -> None:
    ps, st = jax.eval_shape(lambda key: setup(key, layer, dtype), jax.eval_shape(_key))
    y, new = jax.eval_shape(lambda x, ps, st: apply(layer, x, ps, st), x, ps, st)
    for leaf in jax.tree.leaves(y):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and jnp.finfo(leaf.dtype).dtype != dtype:
            raise AssertionError(f"the output is {leaf.dtype}, expected {dtype}")
    difference = first_difference(st, new)
    if difference:
        raise AssertionError(f"the state changed, {difference}")
    # The states are an argument too: they may hold keys and arrays, which here are shapes alone.
    assert_no_narrowing(
        lambda x, ps, st: apply(layer, x, ps, st)[0], x, ps, st, grads=grads, want=dtype
    )


def _key() -> jax.Array:
    return jax.random.key(0)


def _in_dtype(x: Any, dtype: Any) -> Any:
    def convert(leaf: Any) -> Any:
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        return jax.ShapeDtypeStruct(leaf.shape, dtype if floating else leaf.dtype)

    return jax.tree.map(convert, x)
