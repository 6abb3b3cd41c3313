"""The loss on held-out data, in test mode."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ...core import testmode
from ..compilation._compiled import compiled
from ..compilation._structure import Structure
from ..data._data_dtype import check_data_dtype
from ..data._source import Feed, Part, Place, Reader, Source
from ..objectives._objective import Objective
from ..state._train_state import TrainState
from ..steps._chunk import MAX_CHUNK
from ._refusal import validation_warning


def validation_loss(
    subject: str, objective: Objective, source: Source, tstate: TrainState, first: bool
) -> tuple[float, str]:
    """The mean of the objective over the samples of one pass of `source`; states do not change.

    Args:
        subject: what messages begin with.
        objective: whose loss it is.
        source: of the held-out data.
        tstate: the state to validate.
        first: whether to check the dtypes of the data.

    Returns:
        The loss, and the text of a warning if it is not finite, else an empty one.
    """
    total, samples, complaint, number = 0.0, 0, "", 0
    for part in source.parts():
        if first:
            check_data_dtype(subject, part.feed, tstate)
            first = False
        start = part.feed.place
        losses = _losses(objective, part, tstate)
        bad = np.flatnonzero(~np.isfinite(losses))
        if len(bad) and not complaint:
            part.feed.place = _place_after(part.feed.reader, start, int(bad[0]))
            complaint = _complaint(float(losses[bad[0]]), part.feed, tstate, number + int(bad[0]))
        total += part.samples * float(np.sum(losses))
        samples += part.samples * len(losses)
        number += len(losses)
    return total / samples, complaint


def _losses(objective: Objective, part: Part, tstate: TrainState) -> np.ndarray:
    feed, found = part.feed, []
    structure, leaves = tstate.flat
    losses = _losses_function(objective, feed.reader, structure)
    for begin in range(0, part.batches, MAX_CHUNK):
        count = min(part.batches - begin, MAX_CHUNK)
        values, feed.place = losses(
            leaves, feed.arrays, feed.place, feed.plan, jnp.asarray(count, jnp.int32)
        )
        found.append(np.asarray(values, np.float64)[:count])
    return np.concatenate(found)


def _place_after(reader: Reader, place: Place, batches: int) -> Place:
    for _ in range(batches):
        place = reader.next_place(place)
    return place


def _complaint(loss: float, feed: Feed, tstate: TrainState, number: int) -> str:
    batch = feed.batch(0)  # As `_losses_function` reads it.
    return validation_warning(loss, int(tstate.step), feed, batch, number)


@compiled
def _losses_function(
    objective: Objective, reader: Reader, structure: Structure
) -> Callable[..., tuple[jax.Array, Place]]:
    def run(
        leaves: list[jax.Array], arrays: PyTree, place: Place, plan: PyTree, count: jax.Array
    ) -> tuple[jax.Array, Place]:
        tstate = TrainState.from_flat(structure, leaves)
        states = testmode(tstate.states)

        def loss_at(place: Place) -> jax.Array:
            batch = reader.read(arrays, plan, place, jnp.zeros((), jnp.int32))
            return objective(tstate.model, tstate.evaluated_parameters, states, batch)[0]

        def body(index: jax.Array, carry: tuple[jax.Array, Place]) -> tuple[jax.Array, Place]:
            losses, place = carry
            return losses.at[index].set(loss_at(place)), reader.next_place(place)

        losses = jnp.zeros(MAX_CHUNK, jax.eval_shape(loss_at, place).dtype)
        return jax.lax.fori_loop(0, count, body, (losses, place))

    return run
