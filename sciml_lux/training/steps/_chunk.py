"""The compiled loop of `fit`: many steps for one call from Python."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import PyTree

from ..compilation._compiled import compiled
from ..compilation._structure import Structure
from ..data._source import Feed, Place, Reader
from ..objectives._objective import Objective
from ..objectives._stats import Stats, check_stats, room_for
from ..optimisers._loss_scale import will_skip
from ..state._finite import checked_leaves, each_finite, finite_together
from ..state._train_state import TrainState
from ._ad import AD
from ._retry import LastUpdate, Start, half_of, part_of_step
from ._step import gradients, line_search_arguments, update

MAX_CHUNK = 1024


class Carry(NamedTuple):
    """What one step of the loop passes to the next.

    Attributes:
        tstate: after the last step, which may be one that made a number infinite or NaN.
        place: of the next batch.
        losses: (room,), filled up to `taken`.
        stats: of the objective, each leaf (room, ...).
        taken: the number of finite steps.
        finite: of the last step: the loss, each leaf of the gradient, all watched leaves together.
    """

    tstate: TrainState
    place: Place
    losses: jax.Array
    stats: Any
    taken: jax.Array
    finite: jax.Array


class Steps(NamedTuple):
    """Steps that were taken.

    Attributes:
        tstate: after the last finite one.
        losses: float64 (steps,).
        stats: of each step.
        finite: of the step that ended them: the loss, each leaf of the gradient, each watched leaf.
        last: the update that led to `tstate`, if it is known.
    """

    tstate: TrainState
    losses: np.ndarray
    stats: Stats
    finite: np.ndarray
    last: LastUpdate | None


@compiled
def _chunk_function(
    ad: AD, objective: Objective, reader: Reader, watched: tuple[int, ...], structure: Structure
) -> Callable[..., tuple[Carry, Any]]:
    """A compiled loop of `count` steps; it stops at one that makes a number infinite or NaN.

    The number of steps is dynamic, so that one program serves all and gives the same bits. An
    inner loop runs over one pass of the data, whose plan it reads and never copies. Returns the
    carry, and the plan of the pass that its place is in. Fewer steps are taken where there is no
    room for the stats of all.
    """

    def run(
        leaves: list[jax.Array], arrays: PyTree, place: Place, plan: PyTree, count: jax.Array
    ) -> tuple[Carry, Any]:
        tstate = TrainState.from_flat(structure, leaves)

        def step(tstate: TrainState, place: Place, plan: PyTree) -> Any:
            batch = reader.read(arrays, plan, place, tstate.step)
            return _guarded_step(ad, objective, batch, tstate, watched)

        def body(carry: Carry, plan: PyTree) -> Carry:
            found = step(carry.tstate, carry.place, plan)
            return _after(carry, found, reader.next_place(carry.place))

        def keep_going(carry: Carry) -> jax.Array:
            return (carry.taken < limit) & jnp.all(carry.finite)

        def one_pass(state: tuple[Carry, PyTree]) -> tuple[Carry, Any]:
            first, plan = state
            epoch = first.place[0]
            carry = jax.lax.while_loop(
                lambda carry: keep_going(carry) & (carry.place[0] == epoch),
                lambda carry: body(carry, plan),
                first,
            )
            plan = jax.lax.cond(
                carry.place[0] == epoch,
                lambda: plan,
                lambda: reader.plan(arrays, carry.place[0]),
            )
            return carry, plan

        # Without the state: JAX keeps the static half of what crosses `eval_shape` for ever.
        start = _start(tstate, place, jax.eval_shape(lambda: step(tstate, place, plan)[1:]))
        limit = jnp.minimum(count, len(start.losses))
        carry, plan = jax.lax.while_loop(
            lambda state: keep_going(state[0]), one_pass, (start, plan)
        )
        return carry._replace(tstate=carry.tstate.flat[1]), plan

    return run


class ChunkFunction:
    """The compiled loop as a function of a state, of which the program itself has the arrays."""

    def __init__(
        self, ad: AD, objective: Objective, reader: Reader, watched: tuple[int, ...]
    ) -> None:
        self._statics = ad, objective, reader, watched

    def __call__(self, tstate: TrainState, *arguments: PyTree) -> tuple[Carry, Any]:
        """The carry after the steps, and the plan of its place."""
        structure, leaves = tstate.flat
        carry, plan = _chunk_function(*self._statics, structure)(leaves, *arguments)
        return carry._replace(tstate=TrainState.from_flat(structure, carry.tstate)), plan

    def part(self, start: Start, fraction: float) -> tuple[TrainState, bool]:
        """After the step from `start` with a part of the change, and whether it is finite."""
        return part_of_step(*self._statics, start, fraction)

    def program(self, tstate: TrainState, feed: Feed) -> ClosedJaxpr:
        """The traced loop; `advance` then does not trace it again."""
        structure, leaves = tstate.flat
        given = (leaves, feed.arrays, feed.place, feed.plan, np.int32(1))
        return _chunk_function(*self._statics, structure).trace(*given).jaxpr


def advance(
    take: ChunkFunction,
    tstate: TrainState,
    feed: Feed,
    count: int,
    watched: tuple[int, ...],
    last: LastUpdate | None = None,
    may_halve: Callable[[int], bool] = lambda step: False,
) -> Steps:
    """Take up to `count` steps with `take`, and advance `feed`.

    Args:
        take: the compiled loop.
        tstate: to start from.
        feed: of the batches.
        count: how many steps.
        watched: what must stay finite.
        last: the update that led to `tstate`, if it is known.
        may_halve: called with the number of a step that is not finite: whether to go on with half
            the update that led there.
    """
    losses, stats = np.zeros(0), Stats()
    while True:
        start = Start(tstate, feed.arrays, feed.place, feed.plan)
        carry, plan = take(*start, np.int32(count - len(losses)))
        finite, taken = np.asarray(carry.finite), int(carry.taken)
        if not np.all(finite):
            leaves = checked_leaves(carry.tstate)
            still_finite = [np.isfinite(np.asarray(leaves[index])).all() for index in watched]
            finite = np.append(finite[:-1], still_finite)
            # The same program with fewer steps gives the same bits, without the step that failed.
            carry, plan = take(*start, np.int32(taken))
        feed.place, feed.plan, tstate = carry.place, plan, carry.tstate
        losses = np.concatenate([losses, np.asarray(carry.losses, np.float64)[:taken]])
        stats = stats.then(Stats.of(carry.stats, taken))
        last = LastUpdate(start, taken) if taken else last
        evaluated = finite[: len(finite) - len(watched)]  # An update that overflows has no half.
        failed = not np.all(evaluated)
        half = half_of(last, take) if failed and may_halve(int(tstate.step)) else None
        if half is not None:
            last, tstate = half
            finite = np.ones_like(finite)
        if len(losses) >= count or not np.all(finite):
            return Steps(tstate, losses, stats, finite, last)


def stats_of_step(ad: AD, objective: Objective, feed: Feed, tstate: TrainState) -> Any:
    """The shapes of the stats of the next step, without taking it."""
    return jax.eval_shape(lambda: gradients(ad, objective, feed.batch(int(tstate.step)), tstate)[2])


def _start(tstate: TrainState, place: Place, step: PyTree) -> Carry:
    """The carry before the first step, whose results have the shapes of `step`."""
    loss, stats, finite = step
    room = room_for(stats, MAX_CHUNK)
    return Carry(
        tstate,
        place,
        jnp.zeros(room, loss.dtype),
        jax.tree.map(lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), stats),
        jnp.zeros((), jnp.int32),
        jnp.ones(finite.shape, bool),
    )


def _after(carry: Carry, step: PyTree, place: Place) -> Carry:
    """The carry after a step with the results `step`; `place` is the next one if it is finite."""
    tstate, loss, stats, finite = step
    good = jnp.all(finite)

    def put(buffer: jax.Array, new: jax.Array) -> jax.Array:
        return buffer.at[carry.taken].set(new)

    return Carry(
        tstate,
        jax.tree.map(lambda new, old: jnp.where(good, new, old), place, carry.place),
        put(carry.losses, loss),
        jax.tree.map(put, carry.stats, stats),
        carry.taken + good.astype(jnp.int32),
        finite,
    )


def _guarded_step(
    ad: AD, objective: Objective, batch: PyTree, tstate: TrainState, watched: tuple[int, ...]
) -> tuple[TrainState, jax.Array, Any, jax.Array]:
    """A step that returns `tstate` itself if the loss or the gradient is not finite."""
    grads, loss, stats, with_states = gradients(ad, objective, batch, tstate)
    check_stats(stats)
    extra = line_search_arguments(objective, batch, tstate, grads, loss)
    finite = each_finite([loss, *jax.tree.leaves(grads)])
    finite = finite | will_skip(tstate.optimizer_state, grads)
    # Only then: a line search along NaN would take long.
    new = jax.lax.cond(jnp.all(finite), lambda: update(with_states, grads, extra), lambda: tstate)
    leaves = checked_leaves(new)
    still_finite = finite_together([leaves[index] for index in watched])
    return new, loss, jax.tree.map(jnp.asarray, stats), jnp.append(finite, still_finite)
