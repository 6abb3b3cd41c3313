"""The loss on held-out data, in test mode."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..core import testmode
from ._chunk import MAX_CHUNK
from ._compiled import compiled
from ._objective import Objective
from ._sources import Place, Reader, Source
from ._structure import Structure
from ._train_state import TrainState


def validation_loss(objective: Objective, source: Source, tstate: TrainState) -> float:
    """The mean of the objective over one pass of `source`; states are not changed."""
    feed = source.feed(0, repeat=False)
    structure, leaves = tstate.flat
    losses = _losses_function(objective, feed.reader, structure)
    left, found = source.one_pass, []
    while left > 0:
        count = feed.draw(min(left, MAX_CHUNK))
        if not count:
            break
        values, feed.place = losses(
            leaves, feed.arrays, feed.place, feed.plan, jnp.asarray(count, jnp.int32)
        )
        found.append(np.asarray(values[:count], np.float64))
        left -= count
    return float(np.mean(np.concatenate(found)))


@compiled
def _losses_function(
    objective: Objective, reader: Reader, structure: Structure
) -> Callable[..., tuple[jax.Array, Place]]:
    def run(
        leaves: list[jax.Array], arrays: Any, place: Place, plan: Any, count: jax.Array
    ) -> tuple[jax.Array, Place]:
        tstate = TrainState.from_flat(structure, leaves)
        states = testmode(tstate.states)

        def loss_at(place: Place) -> jax.Array:
            batch = reader.read(arrays, plan, place, jnp.zeros((), jnp.int32))
            return objective(tstate.model, tstate.parameters, states, batch)[0]

        def body(index: jax.Array, carry: tuple[jax.Array, Place]) -> tuple[jax.Array, Place]:
            losses, place = carry
            return losses.at[index].set(loss_at(place)), reader.move(place)

        losses = jnp.zeros(MAX_CHUNK, jax.eval_shape(loss_at, place).dtype)
        return jax.lax.fori_loop(0, count, body, (losses, place))

    return run
