"""What a solve asks of its arguments."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import PyTree

from .steps._control import Adaptive, Control, Fixed
from .tableaus._rosenbrock import Rosenbrock
from .tableaus._tableau import Tableau


def check_method(
    tableau: Tableau, control: Control, dt0: ArrayLike | None, estimates: bool
) -> None:
    """Raise if the method has not what is asked of it."""
    if isinstance(control, Fixed) and dt0 is None:
        raise ValueError("`solve` expects `dt0` for fixed steps, got None. Give their size.")
    if isinstance(control, Adaptive) and tableau.b_error is None:
        raise ValueError(
            f"`solve` expects a method with an error estimate for adaptive steps, got "
            f"{tableau.name}. Take control=Fixed() and dt0, or another method, such as TSIT5."
        )
    if estimates and tableau.b_error is None:
        raise ValueError(
            f"`solve` expects a method with an error estimate for estimates=True, got "
            f"{tableau.name}. Take another, such as TSIT5."
        )


def check_mass(tableau: Tableau, mass: jax.Array | None, estimates: bool) -> None:
    """Raise if the method takes no mass matrix, or it is asked for what has none."""
    if mass is not None and not isinstance(tableau, Rosenbrock):
        raise ValueError(
            f"`solve` expects a Rosenbrock method for a mass matrix, got {tableau.name}. Take "
            "RODAS5P."
        )
    if mass is not None and estimates:
        raise ValueError("`solve` has no estimates with a mass matrix, got estimates=True.")


def check_arrays(y0: PyTree, args: PyTree, ts: jax.Array | None) -> None:
    """Raise if the state, its arguments or the wanted times cannot be solved with."""
    leaves = jax.tree.leaves(y0)
    if not leaves:
        raise ValueError(f"`solve` expects `y0` to have at least one array, got {y0!r}.")
    for leaf in leaves:
        if not (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.inexact)):
            found = getattr(leaf, "dtype", repr(leaf))
            raise TypeError(
                f"`solve` expects `y0` to hold floating or complex arrays, got {found}. Convert "
                "it: jnp.asarray(y0, dtype)."
            )
    for leaf in jax.tree.leaves(args):
        if not hasattr(leaf, "dtype"):
            raise TypeError(
                f"`solve` expects `args` to be a tree of arrays, got {leaf!r}. Convert numbers, "
                "and let `field` close over what is not an array."
            )
    if ts is not None and ts.shape[0] == 0:
        raise ValueError("`solve` expects at least one time in `ts`, got none. Leave it out.")
