"""Train mode, test mode, and setting one named state everywhere."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..precision.internal import own_memory
from ._static import Static

Tree = TypeVar("Tree")


def update_state(st: Tree, name: str, value: PyTree) -> Tree:
    """`st` with every entry called `name`, at any depth, set to `value`.

    Args:
        st: a tree of states, or an object with states (`StatefulLuxLayer`, `TrainState`).
        name: the name of the entries.
        value: the new value; a flag becomes a `Static` or an array where the old one was.

    Raises:
        KeyError: no entry has that name.

    Source: `LuxCore.update_state`; ours raises if no entry has the name.

    Example:
        >>> from sciml_lux import Record
        >>> update_state(Record(layer_1=Record(training=Static(True))), "training", False)
        Record(layer_1=Record(training=Static(False)))
    """
    updated, count = _update_within(st, name, own_memory(value))
    if not count:
        raise KeyError(
            f"`update_state` found no entry `{name}` in the state tree. Check the name; "
            "print the states to see what is there."
        )
    return updated


def trainmode(st: Tree) -> Tree:
    """`st` with every `training` flag on. Changing a flag compiles once more.

    Source: `LuxCore.trainmode`.

    Example:
        >>> from sciml_lux import nn, setup
        >>> _, st = setup(0, nn.Dropout(0.5))
        >>> trainmode(testmode(st)).training
        Static(True)
    """
    return _update_within(st, "training", True)[0]


def testmode(st: Tree) -> Tree:
    """`st` with every `training` flag off. Changing a flag compiles once more.

    Source: `LuxCore.testmode`.

    Example:
        >>> from sciml_lux import nn, setup
        >>> _, st = setup(0, nn.Dropout(0.5))
        >>> testmode(st).training
        Static(False)
    """
    return _update_within(st, "training", False)[0]


def _update_within(holder: PyTree, name: str, value: PyTree) -> tuple[Any, int]:
    """`_update` of a tree of states, or of the states of an object that has parameters too."""
    if not hasattr(type(holder), "with_states"):
        return _update(holder, name, value)
    states, count = _update(holder.states, name, value)
    return holder.with_states(states), count


def _update(st: Tree, name: str, value: PyTree) -> tuple[Tree, int]:
    count = 0

    def named(path: Any) -> bool:
        last = path[-1] if path else None
        return name == getattr(last, "key", getattr(last, "name", None))

    def update(path: Any, node: PyTree) -> Any:
        nonlocal count
        if not named(path):
            return node
        count += 1
        if isinstance(node, Static) and not isinstance(value, Static):
            return Static(value)
        if isinstance(value, bool) and getattr(node, "dtype", None) == jnp.bool_:
            return jnp.full(node.shape, value, jnp.bool_)  # pyright: ignore[reportAttributeAccessIssue]
        return value

    updated = jax.tree_util.tree_map_with_path(
        update,
        st,
        is_leaf=lambda path, node: named(path) or isinstance(node, Static),
        is_leaf_takes_path=True,
    )
    return updated, count
