"""What the mass matrix of a problem must be."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import PyTree

from ...core.internal import describe


def check_mass_matrix(name: str, mass: Any, u0: PyTree, has_samples: bool) -> None:
    """Raise unless `mass` fits the state.

    Args:
        name: of what solves, for the messages.
        mass: the matrix, or None.
        u0: the state, with a leading axis of samples if there are such.
        has_samples: whether the times are of each sample.

    Raises:
        TypeError: the state is a tree or complex, or the matrix is of another dtype.
        ValueError: the state or the matrix has another shape.
    """
    if mass is None:
        return
    if not hasattr(u0, "dtype") or not jnp.issubdtype(u0.dtype, jnp.floating):
        found = describe(u0) if hasattr(u0, "dtype") else type(u0).__name__
        raise TypeError(
            f"`{name}` expects a state of one real array where the problem has a `mass_matrix`, "
            f"got {found}. Join its parts: jnp.concatenate([...])."
        )
    shape = u0.shape[1:] if has_samples else u0.shape
    if len(shape) != 1:
        raise ValueError(
            f"`{name}` expects a state of one axis where the problem has a `mass_matrix`, got "
            f"shape {u0.shape}. Solve samples by ode.solve_ensemble, or by jax.vmap."
        )
    wanted = [(*shape, *shape)] + ([(len(u0), *shape, *shape)] if has_samples else [])
    if mass.shape not in wanted:
        raise ValueError(
            f"`{name}` expects `mass_matrix` of shape {wanted[0]}, got {mass.shape}. It has a row "
            "and a column for each component of the state."
        )
    if mass.dtype != u0.dtype:
        raise TypeError(
            f"`{name}` expects `mass_matrix` in the dtype of the state, {u0.dtype.name}, got "
            f"{mass.dtype.name}. Convert it: mass.astype({u0.dtype.name!r})."
        )
