"""source_of: whatever `fit` takes as data, as a source."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from ...precision.internal import own_array, require_exact_numbers
from ..objectives._objective import check_hashable
from ._data_function import Function, checked_batch, require_repeats
from ._source import Data, Feed, Place, Reader, Source
from ._stream import Stream, can_iterate


def source_of(data: Data, name: str = "data") -> Source:
    """`data` as a source; `name` is what messages call it.

    Raises:
        TypeError: `data` is none of what `Data` lists; float64 NumPy data while x64 is off.
    """
    if isinstance(data, Source):
        return data
    if callable(data):
        return _Function(data, f"`{name}`")
    if data is None or isinstance(data, str | bytes):
        raise TypeError(
            f"`fit` expects `{name}` to be a tree of arrays, a function `step -> tree`, Batches, "
            f"Sampled or an iterable of batches, got {data!r}."
        )
    # `jax.tree.leaves` would warn of an iterator.
    is_tree = jax.tree_util.default_registry.flatten_one_level(data) is not None
    if not is_tree and not hasattr(data, "dtype") and can_iterate(data):
        return Stream(data)
    require_exact_numbers(data, f"`{name}`")
    return _Whole(data)


class _Whole(Source):
    """One tree of arrays, used whole at every step."""

    def __init__(self, data: PyTree) -> None:
        # NumPy data goes to the device once, not with every call of the loop.
        self._data = jax.tree.map(_on_device, data)

    def feed(self, step: int, done: int = 0, repeat: bool = True) -> Feed:
        return Feed(Reader(), self._data)

    def steps(self, epochs: int) -> int | None:
        return epochs

    @property
    def identity(self) -> str:
        return "the same at every step"


class _FunctionReader(Reader):
    function: Callable[[jax.Array], Any]
    subject: str

    def read(self, arrays: PyTree, plan: PyTree, place: Place, step: jax.Array) -> Any:
        return checked_batch(self.function(step), self.subject)


class _Function(Source):
    """`step -> tree`."""

    def __init__(self, function: Function, subject: str) -> None:
        check_hashable(function, subject)
        self._function, self._subject = function, f"{subject}(step)"
        require_repeats(function, self._subject)

    def feed(self, step: int, done: int = 0, repeat: bool = True) -> Feed:
        return Feed(_FunctionReader(self._function, self._subject), ())

    @property
    def identity(self) -> str:
        return "a function of the step"


def _on_device(leaf: object) -> Any:
    return own_array(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf
