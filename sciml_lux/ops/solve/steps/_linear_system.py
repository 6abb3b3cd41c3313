"""Systems of linear equations with one matrix and several right-hand sides, one after the other."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.scipy as jsp

SMALL = 0


def solver_of(matrix: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """The function from b to x with `matrix` x = b, by one factorisation.

    Its derivative is of the equation, with the same factors, and not of their computation.
    """
    factors = jsp.linalg.lu_factor(jax.lax.stop_gradient(matrix))

    def solve(right: jax.Array) -> jax.Array:
        return jax.lax.custom_linear_solve(
            lambda x: product(matrix, x),
            right,
            lambda _, b: jsp.linalg.lu_solve(factors, b),
            lambda _, b: jsp.linalg.lu_solve(factors, b, trans=1),
        )

    return solve


def product(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """`matrix` times `vector`, in full precision."""
    return jnp.matmul(matrix, vector, precision=jax.lax.Precision.HIGHEST)
