"""A check of the dtypes of data: float64 for narrower parameters is most often a mistake."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...core.internal import path_name
from ...precision import EltypeMismatchError, EltypeMismatchWarning, match_eltype_mode
from ..compilation._user_stacklevel import user_stacklevel
from ..state._train_state import TrainState
from ._source import Feed


def check_data_dtype(subject: str, feed: Feed, tstate: TrainState) -> None:
    """Warn, or raise in mode "error", if a batch of `feed` has float64 for narrower parameters.

    In mode "convert" there is no warning, since layers convert what they get.

    Raises:
        EltypeMismatchError: a batch has float64, and `match_eltype` is "error".
    """
    mode = match_eltype_mode()
    of_parameters = _widest(tstate.parameters)
    if mode == "convert" or of_parameters is None:
        return
    parameter, dtype = of_parameters
    of_data = _widest(jax.eval_shape(lambda: feed.batch(0)))
    if of_data is None or _real(of_data[1]) != jnp.float64 or _real(dtype) == jnp.float64:
        return
    path, wide = of_data
    message = (
        f"{subject} got {wide} at `{feed.name}{jax.tree_util.keystr(path)}` and parameters of no "
        f"more digits than {dtype}, at `{path_name(parameter)}`: all that the data touch is "
        f"computed in {_real(wide)}, for gradients of {_real(dtype)}. Convert the data, as with "
        f"precision.f32(data), or train parameters of the same dtype, precision.f64(ps)."
    )
    if mode == "error":
        raise EltypeMismatchError(message)
    warnings.warn(message, EltypeMismatchWarning, stacklevel=user_stacklevel())


def _widest(tree: PyTree) -> tuple[Any, Any] | None:
    """Path and dtype of the first of the floating leaves with the most digits."""
    leaves = [
        (path, jnp.result_type(leaf))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if jnp.issubdtype(jnp.result_type(leaf), jnp.inexact)
    ]
    return min(leaves, key=lambda found: float(jnp.finfo(found[1]).eps), default=None)


def _real(dtype: np.dtype) -> Any:
    return jnp.finfo(dtype).dtype
