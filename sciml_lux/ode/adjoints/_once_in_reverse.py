"""once_in_reverse: an adjoint of diffrax that has gradients alone says so by its name."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from ...ops import internal as lean


def once_in_reverse(tree: PyTree, adjoint: str) -> Any:
    """`tree`, of which what an adjoint computes has a first derivative in reverse mode alone.

    Any other raises an error that names the adjoint and one that has them; JAX's own speaks of a
    `custom_vjp` or of a loop.

    Args:
        tree: what the solve depends on.
        adjoint: its name.
    """

    def leaf(x: Array) -> Any:
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return x
        refuse, again = _Refusal(adjoint, "forward mode"), _Refusal(adjoint, "second derivatives")

        def kept(x: Array) -> tuple[Array, tuple, tuple]:
            return lean.with_own_derivative(lambda x: x, again.rule, x), (), ()

        pull = lambda x, kept, cotangent, flags: [cotangent]  # noqa: E731
        return lean.with_pullback(lambda x: (x, ()), kept, pull, x, tangent=refuse)[0]

    return jax.tree.map(leaf, tree)


def not_by_times(tree: PyTree, adjoint: str) -> Any:
    """`tree`, times by which an adjoint has no derivatives: one raises an error that names it."""
    refuse = _Refusal(adjoint, "derivatives by times").rule
    return jax.tree.map(lambda t: lean.with_own_derivative(lambda t: t, refuse, t), tree)


class _Refusal:
    """Raises where a derivative is asked for that an adjoint does not have."""

    def __init__(self, adjoint: str, what: str) -> None:
        self.adjoint = adjoint
        self.what = what

    def __call__(self, x: Array) -> Array:
        raise ValueError(
            f"`diffrax.{self.adjoint}` has no {self.what}. Take adjoint=ode.DiscreteAdjoint() with "
            "diffrax.Tsit5(), or for stiff problems ode.Rodas5P(); or diffrax.DirectAdjoint()."
        )

    def rule(self, operands: Sequence[Array], tangents: Sequence[Any]) -> tuple[list, list]:
        """That of a function without a derivative."""
        return [self(*operands)], [None]
