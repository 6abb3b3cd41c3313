"""Tolerances: of each leaf of a state, or of each of its components."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import PyTree

from ._control import Tolerances
from ._form import Form
from ._parametric import wide
from ._step import Leaves


def tolerances_of(name: str, value: PyTree, y0: PyTree) -> list[Any]:
    """The tolerance of each leaf, in the real dtype of its sums; not differentiated."""

    def is_none(value: PyTree) -> bool:
        return value is None

    spread = jax.tree.leaves(jax.tree.broadcast(value, y0, is_none), is_leaf=is_none)
    if all(map(is_none, spread)):
        raise ValueError(f"`solve` expects `{name}` to be a number for some leaf, got {value!r}.")
    states = wide(jax.tree.leaves(y0))
    return [
        None if v is None else _tolerance(name, v, y) for v, y in zip(spread, states, strict=True)
    ]


def _tolerance(name: str, tolerance: ArrayLike, y: jax.Array) -> jax.Array:
    """The tolerance of one leaf, with its axes unless it is a number."""
    value = jax.lax.stop_gradient(jnp.asarray(tolerance, jnp.finfo(y.dtype).dtype))
    shape = y.shape
    padded = (1,) * (len(shape) - value.ndim) + value.shape
    if len(padded) != len(shape) or any(
        n not in (1, m) for n, m in zip(padded, shape, strict=True)
    ):
        raise ValueError(
            f"`solve` expects `{name}` to be a number, or of a shape that broadcasts to that of "
            f"the state, {shape}, got {value.shape}. Give one for each component."
        )
    return value.reshape(padded) if value.ndim else value


def split_tolerances(form: Form, values: Tolerances, leaves: Leaves) -> list[Any]:
    """The tolerance of each leaf, or of each of its components."""
    if not form.by_components:
        return list(values)
    found = []
    for tolerance, y in zip(values, leaves, strict=True):
        none = [None] * y.size
        found += none if tolerance is None else form.split([jnp.broadcast_to(tolerance, y.shape)])
    return found
