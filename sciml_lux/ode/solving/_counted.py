"""Counted: a vector field that counts its evaluations."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree


class Counted:
    """A vector field, and how often a compiled program has evaluated it.

    An evaluation that also gives products with its Jacobian, and one of all members of a batch,
    count once. Each goes through Python, so that its program is slow.

    Args:
        field: du/dt of t, u and args; one that reads neither t nor u counts 0.
    """

    def __init__(self, field: Callable[..., PyTree]) -> None:
        self.field = field
        self._count = 0

    def __call__(self, t: jax.Array, u: PyTree, *rest: PyTree) -> Any:
        """The field's value."""
        # All in one, as a call of which nothing is read would not be made.
        t, u = _seen(self._add, (t, u))
        return self.field(t, u, *rest)

    def of(self, program: Callable[..., Any], *arguments: PyTree) -> int:
        """The evaluations of one call of a compiled `program`."""
        self._count = 0
        jax.block_until_ready(program(*arguments))
        jax.effects_barrier()
        return self._count

    def _add(self) -> None:
        self._count += 1


def _seen(call: Callable[[], None], values: PyTree) -> Any:
    """`values`, which are handed through Python where one of them is read."""

    @jax.custom_jvp
    def seen(values: PyTree) -> Any:
        def through(values: PyTree) -> PyTree:
            call()
            return values

        types = jax.tree.map(jax.typeof, values)
        return jax.pure_callback(through, types, values, vmap_method="expand_dims")

    seen.defjvps(lambda moved, _, __: moved)
    return seen(values)
