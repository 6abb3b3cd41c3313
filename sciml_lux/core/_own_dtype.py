"""The input of a layer against the dtype of the layer's own numbers."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from ..precision.internal import match_input
from ._path import entries_of, outermost, subject
from ._record import Record


def match_own_dtype(layer: Any, x: Any, ps: Any, st: Any) -> Any:
    """`x` treated by the policy for dtypes, where the layer has numbers of its own.

    Raises:
        EltypeMismatchError: the dtypes differ in mode "error", or are float16 and bfloat16.
        TypeError: `x` is boolean.
    """
    if _fits(x, ps) or _takes_indices(layer):
        return x
    learned, leaves_floats = _floats(ps), getattr(layer, "leaves_floats_inside", False)
    # A layer may have nothing to learn and yet numbers, such as frequencies or statistics; of what
    # integers mean to it, they say nothing.
    own = learned or ([] if leaves_floats else _floats(st))
    if not own:
        return x
    dtype = max(own, key=lambda dtype: jnp.finfo(dtype).bits)
    only = "integers" if leaves_floats else "" if learned else "floats"
    return match_input(x, dtype, lambda: subject(layer), model=outermost, only=only)


def _fits(x: Any, ps: Any) -> bool:
    """Whether it is seen at a glance that all is of one dtype, as in nearly every call."""
    if type(ps) is not Record or (dtype := getattr(x, "dtype", None)) is None:
        return False
    own = [entry.dtype for entry in ps.values() if _is_array(entry)]
    return bool(own) and own.count(dtype) == len(own) and dtype.kind not in "iub"


def _floats(tree: Any) -> list[np.dtype]:
    own = [entry.dtype for _, entry in entries_of(tree) if _is_array(entry)]
    return [dtype for dtype in own if jnp.issubdtype(dtype, jnp.inexact)]


def _is_array(entry: Any) -> bool:
    return type(entry) is not Record and hasattr(entry, "shape")


def _takes_indices(layer: Any) -> bool:
    """Whether it takes indices itself, or passes its input on to one that does."""
    if getattr(layer, "takes_indices", False):
        return True
    inner = getattr(layer, "wrapped", None)
    return inner is not None and _takes_indices(inner)
