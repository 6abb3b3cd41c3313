"""Counted: a vector field that counts its evaluations."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree


class Counted:
    """A vector field, and how often a compiled program has evaluated it.

    An evaluation that also gives products with its Jacobian, and one of all members of a batch,
    count once. Each goes through Python, so that its program is slow.

    Args:
        field: du/dt of t, u and args, which reads the state.
    """

    def __init__(self, field: Callable[..., PyTree]) -> None:
        self.field = field
        self._count = 0

    def __call__(self, t: jax.Array, u: PyTree, *rest: PyTree) -> Any:
        """The field's value."""
        # Of the state, which a field reads; a call whose result is not read would not be made.
        first, *others = jax.tree.leaves(u)
        first = _seen(self._add, first)
        return self.field(t, jax.tree.unflatten(jax.tree.structure(u), [first, *others]), *rest)

    def of(self, program: Callable[..., Any], *arguments: PyTree) -> int:
        """The evaluations of one call of a compiled `program`."""
        self._count = 0
        jax.block_until_ready(program(*arguments))
        jax.effects_barrier()
        return self._count

    def _add(self) -> None:
        self._count += 1


def _seen(call: Callable[[], None], value: jax.Array) -> jax.Array:
    """`value`, which is handed through Python where it is computed."""

    @jax.custom_jvp
    def seen(value: jax.Array) -> jax.Array:
        def through(value: np.ndarray) -> np.ndarray:
            call()
            return value

        return jax.pure_callback(through, jax.typeof(value), value, vmap_method="expand_dims")

    seen.defjvps(lambda moved, _, __: moved)
    return seen(value)
