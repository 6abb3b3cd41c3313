"""Sampled: fresh data at each step, from a function of a random key."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import PyTree

from ..objectives._objective import check_hashable
from ._data_function import Function, checked_batch, require_draws
from ._key import as_key, key_words
from ._source import Feed, Place, Reader, Source

_SAMPLED = "what the function of `Sampled` returns"


class _SampledReader(Reader):
    function: Callable[[jax.Array], Any]

    def read(self, arrays: PyTree, plan: PyTree, place: Place, step: jax.Array) -> Any:
        batch = self.function(jax.random.fold_in(arrays, step))
        return checked_batch(batch, _SAMPLED)


class Sampled(Source):
    """Fresh data at each step, `function(fold_in(key, step))`, such as collocation points.

    The data are made inside the compiled loop and depend on `key` and `tstate.step` alone.

    Args:
        function: `key -> tree`, made of JAX operations. It is traced once and looked up like an
            objective: see `compute_gradients`.
        key: a typed random key, or an integer seed.

    Raises:
        TypeError: `function` cannot be called or hashed, or returns float64 NumPy data while
            x64 is off; `key` is neither a key nor an integer.
        ValueError: nothing that `function` returns depends on its key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> points = Sampled(lambda key: jax.random.uniform(key, (64, 1), jnp.float32), key=0)
        >>> points
        Sampled(<lambda>, key=[0, 0])
    """

    def __init__(self, function: Function, key: jax.Array | int) -> None:
        if not callable(function):
            raise TypeError(
                f"`Sampled` expects a function `key -> tree` first, got {type(function).__name__}."
            )
        check_hashable(function, "the function of `Sampled`")
        self.function, self.key = function, as_key(key, "`Sampled`")
        require_draws(function, self.key, _SAMPLED)

    def feed(self, step: int, done: int = 0, repeat: bool = True) -> Feed:
        """Begin to draw; every step has its own key, so no batch need be skipped."""
        return Feed(_SampledReader(self.function), self.key)

    @property
    def identity(self) -> str:
        """The key, in which a fit and one that resumes it agree."""
        return f"sampled with key {key_words(self.key)}"

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", repr(self.function))
        return f"Sampled({name}, key={key_words(self.key)})"
