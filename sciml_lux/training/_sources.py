"""Where `fit` draws its batches from: one small protocol, and the data that need no class."""

import abc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..core import StaticValue, seeded_key
from ..precision import own_array, require_uncut
from ._data_function import checked_batch, require_draws, require_repeats
from ._objective import check_hashable

# Which pass over the data, and how far in it; int32 scalars.
Place = tuple[jax.Array, jax.Array]


class Reader(StaticValue):
    """How the compiled loop finds the batch of a step; static, and a key of what is compiled.

    A plan is what is worked out once for each pass, such as an order of the samples.
    """

    def plan(self, arrays: Any, epoch: jax.Array) -> Any:
        """What `read` needs throughout the pass `epoch`."""
        return ()

    def read(self, arrays: Any, plan: Any, place: Place, step: jax.Array) -> Any:
        """The batch at `place`, for the training step `step`."""
        return arrays

    def move(self, place: Place) -> Place:
        """The place of the next batch."""
        return place

    def rows(self, plan: Any, place: Place) -> Any:
        """Which samples of the data the batch at `place` holds; None where it has no samples."""
        return None


class Feed:
    """A source as one fit draws from it: what goes into the compiled loop, and comes back.

    Attributes:
        reader: how batches are read.
        arrays: from what, arguments of the compiled loop.
        place: of the next batch.
        plan: of the pass that `place` is in.
        name: what messages call the data.
    """

    name = "data"

    def __init__(
        self, reader: Reader, arrays: Any, place: tuple[int, int] = (0, 0), plan: Any = ()
    ) -> None:
        self.reader, self.arrays, self.plan = reader, arrays, plan
        self.place: Place = place_at(*place)

    @property
    def is_drawn(self) -> bool:
        """Whether `arrays` are there, so that the loop can be traced."""
        return True

    def draw(self, count: int) -> int:
        """Make ready the next `count` batches, or fewer; returns how many, 0 at the end."""
        return count

    def label(self, done: int) -> str:
        """What goes before the name of an entry, in messages."""
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
    """Base of what `fit` takes as data beyond trees of arrays: `Batches`, `Sampled`, `Stream`."""

    @abc.abstractmethod
    def feed(self, step: int, done: int = 0, repeat: bool = True) -> Feed:
        """Begin to draw.

        Args:
            step: the number of updates that the training state has behind it.
            done: the number of steps that this fit has behind it.
            repeat: begin another pass when one ends.
        """

    def steps(self, epochs: int) -> int | None:
        """The number of steps in `epochs` passes; None where the data has no length."""
        return None

    def parts(self) -> Iterator[Part]:
        """One pass over held-out data, in which each sample comes once."""
        yield Part(named_validation(self.feed(0, repeat=False)), 1)

    @property
    @abc.abstractmethod
    def identity(self) -> str:
        """What a resumed fit must agree on, in words."""


class _Whole(Source):
    """One tree of arrays, used whole at every step."""

    def __init__(self, data: Any) -> None:
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

    def read(self, arrays: Any, plan: Any, place: Place, step: jax.Array) -> Any:
        return checked_batch(self.function(step), self.subject)


class _Function(Source):
    """`step -> tree`."""

    def __init__(self, function: Callable[[jax.Array], Any], subject: str) -> None:
        check_hashable(function, subject)
        self._function, self._subject = function, f"{subject}(step)"
        require_repeats(function, self._subject)

    def feed(self, step: int, done: int = 0, repeat: bool = True) -> Feed:
        return Feed(_FunctionReader(self._function, self._subject), ())

    @property
    def identity(self) -> str:
        return "a function of the step"


_SAMPLED = "what the function of `Sampled` returns"


class _SampledReader(Reader):
    function: Callable[[jax.Array], Any]

    def read(self, arrays: Any, plan: Any, place: Place, step: jax.Array) -> Any:
        batch = self.function(jax.random.fold_in(arrays, step))
        return checked_batch(batch, _SAMPLED)


class Sampled(Source):
    """Fresh data at each step, `function(fold_in(key, step))`, such as collocation points.

    They are made inside the compiled loop; what a step gets depends on `key` and `step` alone.

    Args:
        function: `key -> tree`, of JAX operations. It is traced once, and looked up as an
            objective is: see `compute_gradients`.
        key: a typed random key, or an integer seed.

    Raises:
        TypeError: `function` cannot be called or hashed, or returns float64 NumPy data, x64 off;
            `key` is neither.
        ValueError: nothing that `function` returns depends on its key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> points = Sampled(lambda key: jax.random.uniform(key, (64, 1), jnp.float32), key=0)
        >>> points
        Sampled(<lambda>, key=[0, 0])
    """

    def __init__(self, function: Callable[[jax.Array], Any], key: jax.Array | int) -> None:
        if not callable(function):
            raise TypeError(
                f"`Sampled` expects a function `key -> tree` first, got {type(function).__name__}."
            )
        check_hashable(function, "the function of `Sampled`")
        self.function, self.key = function, typed_key(key, "`Sampled`")
        require_draws(function, self.key, _SAMPLED)

    def feed(self, step: int, done: int = 0, repeat: bool = True) -> Feed:
        """Begin to draw; every step has its own key, so nothing is passed over."""
        return Feed(_SampledReader(self.function), self.key)

    @property
    def identity(self) -> str:
        """What a resumed fit must agree on: the key."""
        return f"sampled with key {key_words(self.key)}"

    def __repr__(self) -> str:
        name = getattr(self.function, "__name__", repr(self.function))
        return f"Sampled({name}, key={key_words(self.key)})"


def typed_key(key: Any, subject: str) -> jax.Array:
    """`key`, or the key of an integer seed."""
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return seeded_key(int(key), subject)
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return key
    raise TypeError(
        f"{subject} expects `key` to be a typed random key or an integer seed, got "
        f"{type(key).__name__}. Make one with jax.random.key(seed)."
    )


def key_words(key: jax.Array) -> list[int]:
    """The numbers of a key."""
    return np.asarray(jax.random.key_data(key)).tolist()


def named_validation(feed: Feed) -> Feed:
    """`feed`, whose messages speak of `validation`."""
    feed.name = "validation"
    return feed


def source_of(data: Any, name: str = "data") -> Source:
    """`data` as a source; `name` is what messages call it.

    Raises:
        TypeError: it is nothing that batches can come from; float64 NumPy data, x64 off.
    """
    from ._stream import Stream

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
    require_uncut(data, f"`{name}`")
    return _Whole(data)


def can_iterate(data: Any) -> bool:
    """Whether `iter` takes it; asked without a call, which may begin a pass of a loader."""
    return hasattr(data, "__iter__") or (hasattr(data, "__getitem__") and hasattr(data, "__len__"))


def place_at(epoch: int, offset: int) -> Place:
    """A place from Python integers."""
    return jnp.asarray(epoch, jnp.int32), jnp.asarray(offset, jnp.int32)


def _on_device(leaf: Any) -> Any:
    return own_array(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf
