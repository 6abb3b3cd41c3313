"""Paths and differences of trees, for messages."""

from collections.abc import Callable
from typing import Any

import jax
from jax.tree_util import KeyPath
from jaxtyping import PyTree

from ._static import Static


class StateStructureError(ValueError):
    """A tree does not have the structure, shapes or dtypes that it must have.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import Record, nn
        >>> x, weights = jnp.ones((1, 1), jnp.float32), jnp.ones((1, 1), jnp.float32)
        >>> nn.Dense(1, 1, use_bias=False)(x, Record(weight=weights, bias=x), Record())
        Traceback (most recent call last):
        ...
        sciml_lux.core._tree.StateStructureError: `Dense` expects `ps` to have no entries but ...
    """


def path_name(path: KeyPath) -> str:
    """A key path of JAX as one would write it after `ps.`, such as `layer_2.weight`.

    Example:
        >>> [(path, _)] = jax.tree_util.tree_leaves_with_path({"layer_2": {"weight": 1.0}})
        >>> path_name(path)
        'layer_2.weight'
    """
    return jax.tree_util.keystr(path, simple=True, separator=".")


def describe(leaf: PyTree) -> str:
    """A leaf in few words: `float32[3,4]` for an array, its repr for anything else.

    Example:
        >>> import jax.numpy as jnp
        >>> describe(jnp.zeros((3, 4), jnp.float32)), describe(None)
        ('float32[3,4]', 'None')
    """
    if hasattr(leaf, "dtype") and hasattr(leaf, "shape"):
        return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
    return repr(leaf)


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """Leaves by path name, in order; `Static` flags and None count as leaves.

    Raises:
        ValueError: two leaves have one path name.

    Example:
        >>> named_leaves({"layer_1": {"weight": 1.0}, "training": Static(True)})
        {'layer_1.weight': 1.0, 'training': Static(True)}
    """
    leaves = jax.tree_util.tree_leaves_with_path(
        tree, is_leaf=lambda node: node is None or isinstance(node, Static)
    )
    named = {path_name(path): leaf for path, leaf in leaves}
    if len(named) != len(leaves):
        raise ValueError(
            "two leaves of a tree have the same path name, like the key 'a.b' and the key 'b' "
            "inside 'a'. Use names without dots."
        )
    return named


def first_difference(
    expected: PyTree, got: PyTree, describe: Callable[[PyTree], str] = describe
) -> str | None:
    """The first path at which two trees differ, in words, or None.

    Args:
        expected: a tree.
        got: another tree.
        describe: the text of a leaf that is compared, by default its dtype and shape.

    Example:
        >>> first_difference({"a": Static(1), "b": None}, {"a": Static(1)})
        'at `b`: expected None, got nothing'
    """
    wanted, found = named_leaves(expected), named_leaves(got)
    for name in [*wanted, *(n for n in found if n not in wanted)]:
        want = describe(wanted[name]) if name in wanted else "nothing"
        have = describe(found[name]) if name in found else "nothing"
        if want != have:
            where = f"at `{name}`: " if name else ""
            return f"{where}expected {want}, got {have}"
    left, right = jax.tree.structure(expected), jax.tree.structure(got)
    return None if left == right else f"expected the structure {left}, got {right}"
