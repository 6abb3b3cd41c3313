"""Stream: batches from a Python iterable, such as the loaders of other libraries."""

import sys
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import describe, first_difference, path_name
from ..precision import require_kept
from ._sources import Feed, Place, Reader, Source, can_iterate, place_at

_MAX_BATCHES = 1024
_MAX_BYTES = 2**22


class _StackReader(Reader):
    """Batches that lie behind one another in arrays."""

    def read(self, arrays: Any, plan: Any, place: Place, step: jax.Array) -> Any:
        return jax.tree.map(
            lambda leaf: jax.lax.dynamic_index_in_dim(leaf, place[1], keepdims=False), arrays
        )

    def move(self, place: Place) -> Place:
        return place[0], place[1] + 1


class _StreamFeed(Feed):
    """Stacks what the iterable gives, so that many batches go into one call of the loop."""

    def __init__(self, batches: Iterable[Any], done: int, repeat: bool) -> None:
        super().__init__(_StackReader(), ())
        self._batches, self._iterator = batches, iter(batches)
        self._repeat = repeat and self._iterator is not batches
        self._expected: Any = None
        self._number = 0
        for _ in range(done):  # Drawn, since a loader that shuffles at each pass must move on.
            self._next()

    @property
    def is_drawn(self) -> bool:
        """Whether a batch was drawn, whose shape is that of all."""
        return self._expected is not None

    def draw(self, count: int) -> int:
        """Stack the next batches; the stack has one size, so that one program serves all."""
        batches: list[list[np.ndarray]] = []
        while len(batches) < min(count, _stack_size(batches)):
            batch = self._next()
            if batch is None:
                break
            batches.append(self._checked(batch))
        if batches:
            self.arrays = jax.tree.structure(self._expected).unflatten(_stacked(batches))
            self.place = place_at(0, 0)
        return len(batches)

    def label(self, done: int) -> str:
        """The number of the batch."""
        return f"batch {done}: "

    def _next(self) -> Any:
        """The next batch of this pass or another one; None at the end."""
        batch = next(self._iterator, None)
        if batch is None and self._repeat:
            self._iterator = iter(self._batches)
            batch = next(self._iterator, None)
        if batch is None and not self._number:
            raise ValueError("`fit` expects `data` to give batches, but it gave none.")
        self._number += batch is not None
        return batch

    def _checked(self, batch: Any) -> list[np.ndarray]:
        where = f"batch {self._number - 1} of `data`"
        for path, leaf in jax.tree_util.tree_leaves_with_path(batch):
            if not hasattr(leaf, "dtype") or not hasattr(leaf, "__array__"):
                raise TypeError(
                    f"{where}: expected arrays, got {describe(leaf)} at `{path_name(path)}`. Wrap "
                    "numbers with np.asarray(value, dtype)."
                )
        # Copied: a loader may fill the same memory with the next batch.
        batch = jax.tree.map(np.array, batch)
        require_kept(batch, where)
        if self._expected is None:
            self._expected = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), batch)
        difference = first_difference(self._expected, batch)
        if difference:
            raise ValueError(
                f"{where} differs from the first, {difference}. All batches must have one "
                "structure, shape and dtype: drop or fill up the last one of a pass."
            )
        return jax.tree.leaves(batch)


class Stream(Source):
    """Batches from a Python iterable; `fit` makes one of any iterable that is no tree.

    Batches are stacked and trained on many at a time. Where a pass ends, another begins; a bare
    iterator, which can be gone through only once, ends the fit. A resumed fit draws the batches
    that it has behind it again and passes them over, so an iterable that shuffles must do so in
    the same way each time.

    Args:
        batches: gives trees of arrays of one structure, shape and dtype. A list of batches is a
            tree of arrays for `fit`, unless it is wrapped in this.

    Raises:
        TypeError: it cannot be iterated.

    Source: `DataLoader` of MLUtils.jl and of torch are such iterables.

    Example:
        >>> import numpy as np
        >>> Stream([np.zeros((2, 1)), np.ones((2, 1))]).steps(epochs=3)
        6
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        if not can_iterate(batches):
            raise TypeError(
                f"`Stream` expects an iterable of batches, got {type(batches).__name__}."
            )
        self.batches, self.bare = batches, hasattr(batches, "__next__")

    def feed(self, step: int, done: int = 0, repeat: bool = True) -> Feed:
        """Begin to draw, from the start of the iterable and past `done` batches."""
        return _StreamFeed(self.batches, done, repeat)

    def steps(self, epochs: int) -> int | None:
        """The number of batches in `epochs` passes; None where the iterable has no length."""
        try:
            return epochs * len(self.batches)  # pyright: ignore[reportArgumentType]
        except TypeError:
            return None

    @property
    def one_pass(self) -> int:
        """As many batches as there are."""
        return sys.maxsize

    @property
    def identity(self) -> str:
        """What a resumed fit must agree on: the type of the iterable."""
        return f"batches from a {type(self.batches).__name__}"


def _stack_size(batches: list[list[np.ndarray]]) -> int:
    """How many batches one stack holds; it depends on the shapes alone."""
    size = sum(leaf.nbytes for leaf in batches[0]) if batches else 0
    return max(1, min(_MAX_BATCHES, _MAX_BYTES // max(size, 1)))


def _stacked(batches: list[list[np.ndarray]]) -> list[jax.Array]:
    size = _stack_size(batches)
    stacks = []
    for leaves in zip(*batches, strict=True):
        stack = np.zeros((size, *leaves[0].shape), leaves[0].dtype)
        stack[: len(leaves)] = leaves
        stacks.append(jnp.asarray(stack))
    return stacks
