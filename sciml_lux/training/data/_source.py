"""Source: where `fit` draws its batches from, as one small protocol."""

import abc
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core import StaticValue

# Which pass over the data, and how far in it; int32 scalars.
Place = tuple[jax.Array, jax.Array]


class Reader(StaticValue):
    """How the compiled loop finds the batch of a step; static, and a key of what is compiled.

    A plan is what is computed once for each pass, such as an order of the samples.
    """

    def plan(self, arrays: PyTree, epoch: jax.Array) -> Any:
        """What `read` needs throughout the pass `epoch`."""
        return ()

    def read(self, arrays: PyTree, plan: PyTree, place: Place, step: jax.Array) -> Any:
        """The batch at `place`, for the training step `step`."""
        return arrays

    def next_place(self, place: Place) -> Place:
        """The place of the batch after the one at `place`."""
        return place

    def rows(self, plan: PyTree, place: Place) -> Any:
        """Which samples of the data the batch at `place` holds; None where it has no samples."""
        return None


class Feed:
    """The batches of one fit: what goes into the compiled loop and comes back.

    Attributes:
        reader: how batches are read.
        arrays: what they are read from, arguments of the compiled loop.
        place: of the next batch.
        plan: of the pass that `place` is in.
        name: what messages call the data.
    """

    name = "data"

    def __init__(
        self, reader: Reader, arrays: PyTree, place: tuple[int, int] = (0, 0), plan: PyTree = ()
    ) -> None:
        self.reader, self.arrays, self.plan = reader, arrays, plan
        self.place: Place = place_at(*place)

    @property
    def is_drawn(self) -> bool:
        """Whether `arrays` are there, so that the loop can be traced."""
        return True

    def draw(self, count: int) -> int:
        """Prepare the next `count` batches, or fewer; returns how many, 0 at the end."""
        return count

    def label(self, done: int) -> str:
        """What messages put before the name of an entry of the data."""
        return ""

    def batch(self, step: int) -> Any:
        """The batch at `place`."""
        return self.reader.read(self.arrays, self.plan, self.place, jnp.asarray(step, jnp.int32))


class Part(NamedTuple):
    """A part of one pass over held-out data.

    Attributes:
        feed: to draw from.
        batches: how many there are.
        samples: in each of them, by which their losses are weighted.
    """

    feed: Feed
    batches: int
    samples: int = 1


class Source(abc.ABC):
    """Base of what `fit` takes as data beyond trees of arrays: `Batches`, `Sampled`, `Stream`.

    Example:
        >>> from sciml_lux import training
        >>> batches = training.Batches(jnp.arange(6), 2, key=0)
        >>> isinstance(batches, training.Source), batches.steps(epochs=2)
        (True, 6)
    """

    @abc.abstractmethod
    def feed(self, step: int, done: int = 0, repeat: bool = True) -> Feed:
        """Begin to draw.

        Args:
            step: the number of updates made before, `tstate.step`.
            done: the number of steps that this fit has taken.
            repeat: whether to begin another pass when one ends.
        """

    def steps(self, epochs: int) -> int | None:
        """The number of steps in `epochs` passes; None if the data have no length."""
        return None

    def parts(self) -> Iterator[Part]:
        """One pass over held-out data, with each sample once."""
        yield Part(named_validation(self.feed(0, repeat=False)), 1)

    @property
    @abc.abstractmethod
    def identity(self) -> str:
        """A text that is the same for a fit and one that resumes it."""


Data: TypeAlias = Source | Callable[[jax.Array], PyTree] | Iterable[PyTree] | PyTree
"""What `fit` takes as data: a source, a function of the step, batches, or a tree of arrays."""


def named_validation(feed: Feed) -> Feed:
    """`feed`, whose messages speak of `validation`."""
    feed.name = "validation"
    return feed


def place_at(epoch: int, offset: int) -> Place:
    """A place from Python integers."""
    return jnp.asarray(epoch, jnp.int32), jnp.asarray(offset, jnp.int32)
