"""Stream: batches from a Python iterable, such as the loaders of other libraries."""

from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import describe, first_difference, path_name
from ..precision import require_uncut
from ._sources import Feed, Part, Place, Reader, Source, can_iterate, named_validation, place_at

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

    def __init__(
        self, batches: Iterable[Any], done: int, repeat: bool, uneven: bool = False
    ) -> None:
        super().__init__(_StackReader(), ())
        self._batches, self._iterator = batches, iter(batches)
        self._repeat = repeat and self._iterator is not batches
        self._uneven = uneven
        self._expected: Any = None
        self._waiting: Any = None  # A batch of another size, for the next stack.
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
            batch, self._waiting = self._waiting, None
            if batch is None:
                batch = self._next()
                batch = None if batch is None else self._on_host(batch)
            if batch is None:
                break
            if self._uneven and batches and _samples(batch) != _samples(self._expected):
                self._waiting = batch
                break
            batches.append(self._checked(batch))
        if batches:
            self.arrays = jax.tree.structure(self._expected).unflatten(_stacked(batches))
            self.place = place_at(0, 0)
        return len(batches)

    @property
    def samples(self) -> int:
        """The number of samples in each batch of the stack; 1 where leaves have several lengths."""
        return _samples(self._expected) or 1

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
            raise ValueError(f"`fit` expects `{self.name}` to give batches, but it gave none.")
        self._number += batch is not None
        return batch

    def _on_host(self, batch: Any) -> Any:
        for path, leaf in jax.tree_util.tree_leaves_with_path(batch):
            if not hasattr(leaf, "dtype") or not hasattr(leaf, "__array__"):
                raise TypeError(
                    f"{self._where()}: expected arrays, got {describe(leaf)} at "
                    f"`{path_name(path)}`. Wrap numbers with np.asarray(value, dtype)."
                )
        # Copied: a loader may fill the same memory with the next batch.
        batch = jax.tree.map(np.array, batch)
        require_uncut(batch, self._where())
        return batch

    def _checked(self, batch: Any) -> list[np.ndarray]:
        """The leaves of a batch, which must be like the first, or of as many samples as it has."""
        shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), batch)
        expected = shapes if self._expected is None else self._expected
        if self._uneven and _samples(expected) is not None:
            expected = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct((_samples(batch), *a.shape[1:]), a.dtype), expected
            )
        difference = first_difference(expected, batch)
        if difference:
            raise ValueError(
                f"{self._where()} differs from the first, {difference}. All batches must have one "
                "structure, shape and dtype: drop or fill up the last one of a pass."
            )
        self._expected = expected
        return jax.tree.leaves(batch)

    def _where(self) -> str:
        return f"batch {self._number - 1} of `{self.name}`"


class Stream(Source):
    """Batches from a Python iterable; `fit` makes one of any iterable that is no tree.

    Batches are stacked and trained on many at a time. Where a pass ends, another begins; a bare
    iterator, which can be gone through only once, ends the fit. A resumed fit draws the batches
    that it has behind it again and passes them over, so an iterable that shuffles must do so in
    the same way each time.

    As held-out data of `fit` the batches may differ in their number of samples, as the last of a
    pass does, and the loss is the mean over samples.

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

    def parts(self) -> Iterator[Part]:
        """The batches of one pass, those of one shape together."""
        feed = _StreamFeed(self.batches, 0, repeat=False, uneven=True)
        named_validation(feed)
        while count := feed.draw(_MAX_BATCHES):
            yield Part(feed, count, feed.samples)

    @property
    def identity(self) -> str:
        """What a resumed fit must agree on: the type of the iterable."""
        return f"batches from a {type(self.batches).__name__}"


def _samples(batch: Any) -> int | None:
    """The length of the leading axis, or None where the leaves do not have the same."""
    lengths = {leaf.shape[:1] for leaf in jax.tree.leaves(batch)}
    return None if len(lengths) != 1 or () in lengths else next(iter(lengths))[0]


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
