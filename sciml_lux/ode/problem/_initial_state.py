"""The initial state: given the dtype of the solve, and checked to be finite."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import PyTree

from ...core import LayerLike, Parameters
from ...core.internal import describe, named_leaves, subject
from ...precision import match_eltype_mode, tree_dtype
from ...precision.internal import as_dtype, match_input


def initial_state(layer: LayerLike, u0: PyTree, ps: Parameters) -> Any:
    """`u0` in the dtype of the solve: integers, and with `match_eltype("convert")` all leaves, take
    the dtype of the parameters.

    Raises:
        ValueError: it is not finite.
    """
    dtype = tree_dtype(ps)
    u0 = _integers_as(dtype, u0)
    if dtype is not None and match_eltype_mode() == "convert":
        # Otherwise the layers inside would narrow it at every evaluation.
        u0 = match_input(u0, dtype, lambda: subject(layer))
    _check_finite(layer, u0)
    return u0


def state_dtype(layer: str, u0: PyTree) -> np.dtype:
    """The floating or complex dtype of the state, the same for all leaves.

    Raises:
        TypeError: a leaf is not a floating array, or two leaves differ; names the leaves.
    """
    leaves = named_leaves(u0)
    for name, leaf in leaves.items():
        if not hasattr(leaf, "dtype") or not jnp.issubdtype(leaf.dtype, jnp.inexact):
            raise TypeError(
                f"`{layer}` expects the initial state to be floating or complex arrays, got "
                f"{describe(leaf)}{_at(name)}. Convert it: jnp.asarray(u0, dtype)."
            )
    by_dtype = {leaf.dtype: name for name, leaf in reversed(leaves.items())}
    if len(by_dtype) != 1:
        found = ", ".join(f"{dtype}{_at(name)}" for dtype, name in by_dtype.items()) or "no leaf"
        raise TypeError(
            f"`{layer}` expects an initial state of one dtype, got {found}. Convert it, for "
            "example with precision.f64."
        )
    return next(iter(by_dtype))


def _integers_as(dtype: np.dtype | None, u0: PyTree) -> Any:
    """`u0` with integers in the dtype of the parameters, if there are parameters."""

    def convert(leaf: PyTree) -> Any:
        is_integer = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.integer)
        return as_dtype(leaf, dtype) if is_integer and dtype is not None else leaf

    return jax.tree.map(convert, u0)


def _check_finite(layer: LayerLike, u0: PyTree) -> None:
    for name, leaf in named_leaves(u0).items():
        if isinstance(leaf, Tracer) or not hasattr(leaf, "dtype"):
            continue
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not np.isfinite(leaf).all():
            raise ValueError(
                f"{subject(layer)}: the initial state is not finite{_at(name)}, got {leaf}. Look "
                "at the data it comes from."
            )


def _at(name: str) -> str:
    return f" at `{name}`" if name else ""
