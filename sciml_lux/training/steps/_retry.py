"""The update that led to a step that is not finite: taken back, or only a part of it taken."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..compilation._compiled import compiled
from ..compilation._structure import Structure
from ..data._source import Place, Reader
from ..objectives._objective import Objective
from ..state._finite import checked_leaves, finite_together
from ..state._train_state import TrainState
from ._ad import AD
from ._step import gradients, line_search_arguments, update

_LEAST = 2.0**-16


class Start(NamedTuple):
    """What a call of the compiled loop began with.

    Attributes:
        tstate: the state.
        arrays: what batches are read from.
        place: of the first batch.
        plan: of the pass that `place` is in.
    """

    tstate: TrainState
    arrays: PyTree
    place: Place
    plan: PyTree


@dataclasses.dataclass
class LastUpdate:
    """The last update that was made, as the call of the compiled loop that made it.

    Attributes:
        start: of that call.
        steps: how many it took.
        fraction: which part of the update was made.
    """

    start: Start
    steps: int
    fraction: float = 1.0

    def before(self, take: Callable[..., Any]) -> Start:
        """What its step began with; the same program with fewer steps gives the same bits."""
        if self.steps > 1:
            carry, plan = take(*self.start, jnp.asarray(self.steps - 1, jnp.int32))
            self.start = Start(carry.tstate, self.start.arrays, carry.place, plan)
            self.steps = 1
        return self.start


def half_of(
    last: LastUpdate | None, take: Callable[..., Any]
) -> tuple[LastUpdate, TrainState] | None:
    """`last` with half of the part that was made, or half of that until it is finite.

    None where `last` is not known, or less than a 65536th part would be made.
    """
    if last is None:
        return None
    start, fraction = last.before(take), last.fraction
    while (fraction := fraction / 2) >= _LEAST:
        tstate, finite = take.part(start, fraction)  # pyright: ignore[reportFunctionMemberAccess]
        if finite:
            return LastUpdate(start, 1, fraction), tstate
    return None


def part_of_step(
    ad: AD,
    objective: Objective,
    reader: Reader,
    watched: tuple[int, ...],
    start: Start,
    fraction: float,
) -> tuple[TrainState, bool]:
    """After the step from `start` with a part of the change of the parameters; is it finite?"""
    structure, leaves = start.tstate.flat
    run = _part_function(ad, objective, reader, watched, structure)
    found, finite = run(leaves, *start[1:], jnp.asarray(fraction, jnp.float32))
    return TrainState.from_flat(structure, found), bool(finite)


@compiled
def _part_function(
    ad: AD, objective: Objective, reader: Reader, watched: tuple[int, ...], structure: Structure
) -> Callable[..., tuple[list[jax.Array], jax.Array]]:
    def run(
        leaves: list[jax.Array], arrays: PyTree, place: Place, plan: PyTree, fraction: jax.Array
    ) -> tuple[list[jax.Array], jax.Array]:
        tstate = TrainState.from_flat(structure, leaves)
        batch = reader.read(arrays, plan, place, tstate.step)
        grads, loss, _, with_states = gradients(ad, objective, batch, tstate)
        extra = line_search_arguments(objective, batch, tstate, grads, loss)
        whole = update(with_states, grads, extra)

        def between(old: jax.Array, new: jax.Array) -> jax.Array:
            if not jnp.issubdtype(new.dtype, jnp.inexact):
                return new
            return old + fraction.astype(new.dtype) * (new - old)

        parameters = jax.tree.map(between, tstate.parameters, whole.parameters)
        part = whole.replace(parameters=parameters)
        new = checked_leaves(part)
        return part.flat[1], finite_together([new[index] for index in watched])

    return run
