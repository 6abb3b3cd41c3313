"""Paths and differences of trees, for messages."""

from collections.abc import Callable
from typing import Any

import jax

from ._static import Static


class StateStructureError(ValueError):
    """A tree has another structure, shape or dtype than the one it must match."""


def path_name(path: Any) -> str:
    """A key path as one would write it after `ps.`: `layer_2.weight`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def describe(leaf: Any) -> str:
    """A leaf in a word: `float32[3,4]` for an array, its repr for anything else."""
    if hasattr(leaf, "dtype") and hasattr(leaf, "shape"):
        return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"
    return repr(leaf)


def named_leaves(tree: Any) -> dict[str, Any]:
    """Leaves by path name, in order; `Static` flags and None count as leaves."""
    leaves = jax.tree_util.tree_leaves_with_path(
        tree, is_leaf=lambda node: node is None or isinstance(node, Static)
    )
    named = {path_name(path): leaf for path, leaf in leaves}
    if len(named) != len(leaves):
        raise ValueError(
            "two leaves of a tree have one path name, as the keys 'a.b' and 'a' with 'b' inside "
            "have. Use names without dots."
        )
    return named


def first_difference(
    expected: Any, got: Any, describe: Callable[[Any], str] = describe
) -> str | None:
    """The first path at which two trees differ, in words, or None.

    Args:
        expected: a tree.
        got: another.
        describe: what of a leaf is compared; dtype and shape by default.

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
