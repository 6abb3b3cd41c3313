"""Functions of trees of one member of a batch, which have kernels or are taken chunk by chunk."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jaxtyping import PyTree

from ..._primitive import Value
from ...kernels import Kernel, linear_with_kernel, with_kernel


def of_member(function: Callable[..., PyTree], kernel: Kernel | None, *given: PyTree) -> Any:
    """`function(*given)`, of trees of arrays.

    Args:
        function: of one member of a batch; `vmap` makes the batch.
        kernel: computes the same of the leaves; None where there is none.
        given: what it takes.
    """
    leaves, tree = jax.tree.flatten(given)
    structures: list[Any] = []

    def flat(*leaves: Value) -> list[Value]:
        found, structure = jax.tree.flatten(function(*tree.unflatten(leaves)))
        structures.append(structure)
        return found

    found = with_kernel(flat, kernel, *leaves)
    return structures[0].unflatten(found)


def linear_of_member(
    function: Callable[[PyTree, PyTree], PyTree],
    transposed: Kernel | None,
    residuals: PyTree,
    tangents: PyTree,
) -> Any:
    """`function(residuals, tangents)`, of trees of arrays, linear in the second.

    Args:
        function: of one member of a batch; `vmap` makes the batch.
        transposed: computes its transpose of the leaves; None where there is no such kernel.
        residuals: a tree of arrays.
        tangents: a tree of arrays and of None, tangents that are 0.
    """
    fixed, fixed_tree = jax.tree.flatten(residuals)
    moving, moving_tree = jax.tree.flatten(tangents)
    structures: list[Any] = []

    def flat(fixed: Sequence[Value], moving: Sequence[Value]) -> list[Value]:
        given = fixed_tree.unflatten(fixed), moving_tree.unflatten(moving)
        found, structure = jax.tree.flatten(function(*given))
        structures.append(structure)
        return found

    found = linear_with_kernel(flat, transposed, fixed, moving)
    return structures[0].unflatten(found)
