"""The dtype of a layer's input is compared with that of the layer's own numbers."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..precision.internal import match_input
from ._path import entries_of, outermost, subject
from ._record import Record
from ._types import LayerLike, Parameters, States


def match_own_dtype(layer: LayerLike, x: PyTree, ps: Parameters, st: States) -> Any:
    """`x` as `precision.match_eltype` treats it, if the layer has numbers of its own.

    An input whose class has `keeps_dtypes = True`, since it is more than data, is left alone.

    Raises:
        EltypeMismatchError: the dtypes differ in mode "error", or are float16 and bfloat16.
        TypeError: `x` is boolean.
    """
    if _fits(x, ps) or getattr(x, "keeps_dtypes", False) or _takes_indices(layer):
        return x
    learned, leaves_floats = _floats(ps), getattr(layer, "leaves_floats_inside", False)
    # A layer without parameters may have floats in its states, such as frequencies or statistics.
    # They do not say what an integer input means.
    own = learned or ([] if leaves_floats else _floats(st))
    if not own:
        return x
    dtype = max(own, key=lambda dtype: jnp.finfo(dtype).bits)
    only = "integers" if leaves_floats else "" if learned else "floats"
    return match_input(x, dtype, lambda: subject(layer), model=outermost, only=only)


def _fits(x: PyTree, ps: Parameters) -> bool:
    """Whether a quick look shows that all have one dtype, as in nearly every call."""
    if type(ps) is not Record or (dtype := getattr(x, "dtype", None)) is None:
        return False
    own = [entry.dtype for entry in ps.values() if _is_array(entry)]
    return bool(own) and own.count(dtype) == len(own) and dtype.kind not in "iub"


def _floats(tree: PyTree) -> list[np.dtype]:
    own = [entry.dtype for _, entry in entries_of(tree) if _is_array(entry)]
    return [dtype for dtype in own if jnp.issubdtype(dtype, jnp.inexact)]


def _is_array(entry: PyTree) -> bool:
    return type(entry) is not Record and hasattr(entry, "shape")


def _takes_indices(layer: LayerLike) -> bool:
    """Whether it takes indices itself, or passes its input to a layer that does."""
    if getattr(layer, "takes_indices", False):
        return True
    inner = getattr(layer, "wrapped", None)
    return inner is not None and _takes_indices(inner)
