"""Fields of M du/dt, with a mass matrix M: where it is singular, some equations are algebraic."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ._linear_system import product
from ._step import Field, Leaves
from ._vector import Vector


@dataclass(frozen=True, eq=False)
class WithMass:
    """A field of parameters of which the last is the mass matrix: it has derivatives as they do.

    Args:
        field: M du/dt of the other parameters, a time and the leaves of a state.
    """

    field: Callable[[list[jax.Array], jax.Array, Leaves], Leaves]

    def __call__(self, parameters: list[jax.Array], t: jax.Array, y: Leaves) -> Leaves:
        """M du/dt."""
        return self.field(parameters[:-1], t, y)


class Weighed(NamedTuple):
    """A field with its parameters and its mass matrix.

    Attributes:
        slope: M du/dt of a time and the leaves of a state.
        mass: M.
    """

    slope: Field
    mass: jax.Array

    def __call__(self, t: jax.Array, y: Leaves) -> Leaves:
        """M du/dt."""
        return self.slope(t, y)


def field_with(
    parametric: Callable[[list[jax.Array], jax.Array, Leaves], Leaves],
    parameters: list[jax.Array],
) -> Field:
    """The field with these parameters, and with its mass matrix if it has one."""
    field = functools.partial(parametric, parameters)
    return Weighed(field, parameters[-1]) if isinstance(parametric, WithMass) else field


def to_consistent(field: Weighed, t: jax.Array, y: Leaves) -> Leaves:
    """Newton's step from y to where the algebraic equations hold, in the components that they give.

    With the projections P and Q on the null spaces of Mᵀ and M, the algebraic equations are
    P f(t, y) = 0, and (M + P ∂f/∂y Q) Δ = -P f. That matrix has an inverse where the index is 1;
    otherwise the step is not finite.
    """
    vector, mass = Vector(y), field.mass
    left, sizes, right = jnp.linalg.svd(mass)
    rounding = float(jnp.finfo(mass.dtype).eps) * len(mass)
    null = (sizes <= rounding * jnp.max(sizes)).astype(mass.dtype)
    matmul = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    p, q = matmul(left * null[None], left.T), matmul(right.T * null[None], right)

    def slope(state: jax.Array) -> jax.Array:
        return vector.joined(field(t, vector.leaves(state)))

    state = vector.joined(y)
    matrix = mass + matmul(matmul(p, jax.jacfwd(slope)(state)), q)
    return vector.leaves(jnp.linalg.solve(matrix, -product(p, slope(state))))
