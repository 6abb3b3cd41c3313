"""The compiled loop of `fit`: many steps for one call from Python."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ._ad import AD
from ._compiled import compiled
from ._objective import Objective
from ._sources import Feed, Place, Reader
from ._steps import gradients, line_search_arguments, update
from ._structure import Structure
from ._train_state import TrainState

MAX_CHUNK = 1024


class Carry(NamedTuple):
    """What goes from step to step.

    Attributes:
        tstate: after the last good step.
        place: of the next batch.
        losses: (MAX_CHUNK,), filled up to `taken`.
        taken: the number of good steps.
        finite: of the last step: the loss, each leaf of the gradient.
    """

    tstate: TrainState
    place: Place
    losses: jax.Array
    taken: jax.Array
    finite: jax.Array


@compiled
def _chunk_function(
    ad: AD, objective: Objective, reader: Reader, structure: Structure
) -> Callable[..., tuple[Carry, Any, jax.Array]]:
    """A compiled loop of `count` steps; it stops before an update that is not finite.

    The number of steps is dynamic, so that one program serves all and gives the same bits. An
    inner loop goes through one pass of the data, whose plan it reads and never copies. Returned
    are the carry, the plan of its place, and which parameters are as finite as they were: an
    update that overflows is looked for after the loop, since a look at each would cost time.
    """

    def run(
        leaves: list[jax.Array], arrays: Any, place: Place, plan: Any, count: jax.Array
    ) -> tuple[Carry, Any, jax.Array]:
        tstate = TrainState.from_flat(structure, leaves)

        def body(carry: Carry, plan: Any) -> Carry:
            batch = reader.read(arrays, plan, carry.place, carry.tstate.step)
            tstate, loss, finite = _guarded_step(ad, objective, batch, carry.tstate)
            good = jnp.all(finite)
            moved = reader.move(carry.place)
            return Carry(
                tstate,
                jax.tree.map(lambda new, old: jnp.where(good, new, old), moved, carry.place),
                carry.losses.at[carry.taken].set(loss),
                carry.taken + good.astype(jnp.int32),
                finite,
            )

        def keep_going(carry: Carry) -> jax.Array:
            return (carry.taken < count) & jnp.all(carry.finite)

        def one_pass(state: tuple[Carry, Any]) -> tuple[Carry, Any]:
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

        start = _start(ad, objective, reader, tstate, arrays, place, plan)
        carry, plan = jax.lax.while_loop(
            lambda state: keep_going(state[0]), one_pass, (start, plan)
        )
        before, after = (
            _all_finite(jax.tree.leaves(state.parameters)) for state in (tstate, carry.tstate)
        )
        return carry._replace(tstate=carry.tstate.flat[1]), plan, after | ~before

    return run


def chunk_function(
    ad: AD, objective: Objective, reader: Reader
) -> Callable[..., tuple[Carry, Any, jax.Array]]:
    """The compiled loop as a function of a state; what is compiled takes and gives its arrays."""

    def run(tstate: TrainState, *arguments: Any) -> tuple[Carry, Any, jax.Array]:
        structure, leaves = tstate.flat
        carry, *rest = _chunk_function(ad, objective, reader, structure)(leaves, *arguments)
        return carry._replace(tstate=TrainState.from_flat(structure, carry.tstate)), *rest

    return run


def advance(
    take: Callable[..., tuple[Carry, Any, jax.Array]], tstate: TrainState, feed: Feed, count: int
) -> tuple[Carry, np.ndarray]:
    """Take up to `count` steps, and move `feed` on.

    Returns:
        The carry of the last good step, and what is finite in the step that ended it: the loss,
        each leaf of the gradient and, where an update overflowed, each parameter.
    """
    arrays, place, plan = feed.arrays, feed.place, feed.plan

    def after(count: int) -> tuple[Carry, Any, np.ndarray]:
        carry, moved, kept = take(tstate, arrays, place, plan, np.int32(count))
        return carry, moved, np.asarray(kept)

    carry, moved, kept = after(count)
    finite = np.asarray(carry.finite)
    low, high = 0, int(carry.taken)
    if high and not np.all(kept):
        # The same program with fewer steps gives the same bits: the update can be searched for.
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if np.all(after(middle)[2]) else (low, middle)
        finite = np.concatenate([np.ones(len(finite), bool), after(high)[2]])
        carry, moved, _ = after(low)
    feed.place, feed.plan = carry.place, moved
    return carry, finite


def _start(
    ad: AD,
    objective: Objective,
    reader: Reader,
    tstate: TrainState,
    arrays: Any,
    place: Place,
    plan: Any,
) -> Carry:
    def first() -> Any:
        batch = reader.read(arrays, plan, place, tstate.step)
        # Without the state: JAX never forgets the static half of what crosses `eval_shape`.
        return _guarded_step(ad, objective, batch, tstate)[1:]

    loss, finite = jax.eval_shape(first)
    return Carry(
        tstate,
        place,
        jnp.zeros(MAX_CHUNK, loss.dtype),
        jnp.zeros((), jnp.int32),
        jnp.ones(finite.shape, bool),
    )


def _guarded_step(
    ad: AD, objective: Objective, batch: Any, tstate: TrainState
) -> tuple[TrainState, jax.Array, jax.Array]:
    """A step that leaves `tstate` as it was where the loss or the gradient is not finite."""
    grads, loss, _, moved = gradients(ad, objective, batch, tstate)
    extra = line_search_arguments(objective, batch, tstate, grads, loss)
    finite = _all_finite([loss, *jax.tree.leaves(grads)])
    # Not taken otherwise: a line search along NaN would go on for long.
    new = jax.lax.cond(jnp.all(finite), lambda: update(moved, grads, extra), lambda: tstate)
    return new, loss, finite


def _all_finite(leaves: list[jax.Array]) -> jax.Array:
    if not leaves:
        return jnp.ones(0, bool)
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves])
