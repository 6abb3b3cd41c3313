"""Batches: mini-batches of arrays in a seeded order, cut inside the compiled loop."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from ..core import check_choice, check_integer
from ..precision import own_array, require_uncut
from ._compiled import compiled
from ._sources import Feed, Part, Place, Reader, Source, key_words, named_validation, typed_key


class _BatchReader(Reader):
    samples: int
    batch_size: int
    shuffle: bool
    wrap: bool

    def plan(self, arrays: Any, epoch: jax.Array) -> Any:
        _, key = arrays
        order = self._order(key, epoch)
        if self.wrap:  # The last batch reads on into the next pass.
            following = self._order(key, epoch + 1)[: self.batch_size]
            order = jnp.concatenate([order, following])
        return order

    def read(self, arrays: Any, plan: Any, place: Place, step: jax.Array) -> Any:
        data, _ = arrays
        rows = self.rows(plan, place)
        return jax.tree.map(lambda leaf: leaf[rows], data)

    def move(self, place: Place) -> Place:
        epoch, offset = place
        end = offset + self.batch_size
        last = self.samples if self.wrap else self.samples - self.batch_size + 1
        over = (end >= last).astype(jnp.int32)
        start = end - self.samples if self.wrap else jnp.zeros((), jnp.int32)
        return epoch + over, jnp.where(over == 1, start, end)

    def rows(self, plan: Any, place: Place) -> jax.Array:
        return jax.lax.dynamic_slice(plan, (place[1],), (self.batch_size,))

    def _order(self, key: jax.Array, epoch: jax.Array) -> jax.Array:
        samples = jnp.arange(self.samples, dtype=jnp.int32)
        if not self.shuffle:
            return samples
        return jax.random.permutation(jax.random.fold_in(key, epoch), samples)


@compiled
def _plan_function(reader: _BatchReader) -> Any:
    return lambda key, epoch: reader.plan((None, key), epoch)


class Batches(Source):
    """Mini-batches of `data`, in another order at each pass.

    The samples of pass e come in the order `jax.random.permutation(fold_in(key, e), n)`. Which
    batch a step gets depends on the data, `key` and `tstate.step` alone, so a fit goes on where an
    earlier one stopped. Order and batches are made inside the compiled loop.

    Args:
        data: a tree of arrays with one leading axis of n samples.
        batch_size: samples in a batch, at most n.
        key: a typed random key, or an integer seed.
        shuffle: False keeps the order of the data, at every pass.
        last_batch: what becomes of the n mod `batch_size` samples at the end of a pass: "drop"
            leaves them out of this pass; "wrap" fills their batch up with the first samples of the
            next pass, which goes on from there, so that each pass sees each sample just once. As
            held-out data of `fit` every sample counts once in any case, by a shorter last batch.

    Raises:
        ValueError: `data` has no samples or leading axes of several lengths; `batch_size` is no
            integer from 1 to n; `last_batch` is another word.
        TypeError: `key` is no key; float64 NumPy data, or integers above 32 bits, x64 off.

    Source: `DataLoader` of MLUtils.jl, as Lux's tutorials use it; its `partial=true` gives a
        shorter last batch, which would be compiled again.

    Example:
        >>> import jax.numpy as jnp
        >>> batches = Batches({"x": jnp.arange(5)}, 2, shuffle=False, last_batch="wrap")
        >>> [batches.batch(step)["x"].tolist() for step in range(5)]
        [[0, 1], [2, 3], [4, 0], [1, 2], [3, 4]]
        >>> len(batches), batches.steps(2)
        (3, 5)
    """

    def __init__(
        self,
        data: Any,
        batch_size: int,
        *,
        key: jax.Array | int = 0,
        shuffle: bool = True,
        last_batch: str = "drop",
    ) -> None:
        require_uncut(data, "`data`")
        samples = _samples(data)
        _check_batch_size(batch_size, samples)
        check_choice("Batches", "last_batch", last_batch, ("drop", "wrap"))
        self._arrays = jax.tree.map(own_array, data), typed_key(key, "`Batches`")
        self._reader = _BatchReader(samples, int(batch_size), bool(shuffle), last_batch == "wrap")

    def __len__(self) -> int:
        reader = self._reader
        whole, rest = divmod(reader.samples, reader.batch_size)
        return whole + (reader.wrap and rest > 0)

    def batch(self, step: int) -> Any:
        """The batch of a step, counted from 0."""
        return self.feed(step).batch(step)

    def feed(self, step: int, done: int = 0, repeat: bool = True) -> Feed:
        """Begin to draw, at the batch of `step`."""
        reader = self._reader
        if reader.wrap:
            epoch, offset = divmod(step * reader.batch_size, reader.samples)
        else:
            epoch, batch = divmod(step, len(self))
            offset = batch * reader.batch_size
        plan = _plan_function(reader)(self._arrays[1], jnp.asarray(epoch, jnp.int32))
        return Feed(reader, self._arrays, (epoch, offset), plan)

    def steps(self, epochs: int) -> int | None:
        """The number of steps in `epochs` passes."""
        if self._reader.wrap:
            return -(-epochs * self._reader.samples // self._reader.batch_size)
        return epochs * len(self)

    def parts(self) -> Iterator[Part]:
        """The whole batches of the first pass, then one of the samples that are left."""
        reader = self._reader
        whole, rest = divmod(reader.samples, reader.batch_size)
        for count, size, offset in (
            (whole, reader.batch_size, 0),
            (1, rest, reader.samples - rest),
        ):
            if size:
                part = _BatchReader(reader.samples, size, reader.shuffle, wrap=False)
                plan = _plan_function(part)(self._arrays[1], jnp.zeros((), jnp.int32))
                feed = Feed(part, self._arrays, (0, offset), plan)
                yield Part(named_validation(feed), count, size)

    @property
    def identity(self) -> str:
        """What a resumed fit must agree on: all that decides the order."""
        return repr(self)

    def __repr__(self) -> str:
        reader = self._reader
        order = f"key={key_words(self._arrays[1])}" if reader.shuffle else "shuffle=False"
        last = '"wrap"' if reader.wrap else '"drop"'
        return f"Batches({reader.samples} samples, {reader.batch_size}, {order}, last_batch={last})"


def _samples(data: Any) -> int:
    lengths = {
        f"`data{jax.tree_util.keystr(path)}`": jnp.shape(leaf)[:1]
        for path, leaf in jax.tree_util.tree_leaves_with_path(data)
    }
    if len(set(lengths.values())) != 1 or () in lengths.values():
        found = ", ".join(
            f"{length[0] if length else 'no axis'} at {path}" for path, length in lengths.items()
        )
        raise ValueError(
            "`Batches` expects arrays with one leading axis of samples in `data`, got "
            f"{found or 'no array'}."
        )
    ((samples,),) = set(lengths.values())
    if samples == 0:
        raise ValueError("`Batches` expects at least one sample in `data`, got a length of 0.")
    return samples


def _check_batch_size(batch_size: Any, samples: int) -> None:
    check_integer("Batches", "batch_size", batch_size, least=1)
    if batch_size > samples:
        raise ValueError(
            f"`Batches` expects `batch_size` of at most {samples}, the number of samples, got "
            f"{batch_size}. Take fewer at a time."
        )
