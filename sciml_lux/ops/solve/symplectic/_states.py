"""The states of a solve after given numbers of steps, and their derivatives."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ..forward._loop import DIVERGED, RUNNING, all_finite
from ..loops._across_batch import any_in_batch
from ..loops._dynamic_scan import linear_scan
from ..rules._own_derivative import Tangents, with_own_derivative
from ..steps._step import Leaves
from ._composition import Composition
from ._halves import Halves
from ._leapfrog import Given, moves, part_of
from ._replay import Replay


class Options(NamedTuple):
    """What is known of a solve before it starts.

    Attributes:
        halves: of the field.
        composition: the method.
        longest: the largest number of leapfrog steps from one wanted state to the next.
    """

    halves: Halves
    composition: Composition
    longest: int


class Wanted(NamedTuple):
    """Which states.

    Attributes:
        steps: the number of steps from t0 to t1.
        numbers: (n,) the numbers of leapfrog steps after which a state is wanted, in order.
    """

    steps: jax.Array
    numbers: jax.Array


class Found(NamedTuple):
    """The states.

    Attributes:
        states: (n, ...) the wanted ones.
        reached: the last that is finite.
        number: of leapfrog steps that were taken.
        result: RUNNING, or DIVERGED where the next state is not finite.
    """

    states: Leaves
    reached: Leaves
    number: jax.Array
    result: jax.Array


def states_after(options: Options, given: Given, wanted: Wanted) -> Any:
    """The states, `Found`, which have every derivative by `given`."""
    tree = jax.tree.structure((given, wanted))
    rule = functools.partial(_moved, options, tree)
    return with_own_derivative(functools.partial(_taken, options), rule, given, wanted)


class _State(NamedTuple):
    number: jax.Array
    y: Leaves
    lost: Leaves
    result: jax.Array


def _taken(options: Options, given: Given, wanted: Wanted) -> Found:
    """All steps, of which nothing is remembered but the wanted states."""

    def is_live(state: _State, until: jax.Array) -> jax.Array:
        return (state.number < until) & (state.result == RUNNING)

    def step(until: jax.Array, state: _State) -> _State:
        part = part_of(options.composition, given, state.number, wanted.steps)
        y, lost = moves(options.halves, given.parameters, part, state.y, state.lost)
        live, finite = is_live(state, until), all_finite(y)
        accepted = live & finite
        y, lost = jax.tree.map(
            lambda new, old: jnp.where(accepted, new, old), (y, lost), (state.y, state.lost)
        )
        result = jnp.where(live & ~finite, DIVERGED, state.result).astype(jnp.int32)
        return _State(state.number + accepted.astype(jnp.int32), y, lost, result)

    def stretch(state: _State, until: jax.Array) -> tuple[_State, Leaves]:
        state = jax.lax.while_loop(
            lambda state: any_in_batch(is_live(state, until)), functools.partial(step, until), state
        )
        return state, state.y

    zero = jnp.zeros((), jnp.int32)
    start = _State(zero, given.y0, list(map(jnp.zeros_like, given.y0)), zero + RUNNING)
    end, states = jax.lax.scan(stretch, start, wanted.numbers)
    return Found(states, end.y, end.number, end.result)


def _moved(
    options: Options, tree: Any, operands: Sequence[jax.Array], tangents: Tangents
) -> tuple[list[jax.Array], Tangents]:
    """The rule: the states and the tangents of the steps between them, taken once more."""
    given, wanted = tree.unflatten(operands)
    tangent, _ = tree.unflatten(tangents)
    found = states_after(options, given, wanted)
    fixed, moving = _flat(given), _flat(tangent)
    flags = [t is not None for t in moving]
    dy = [jnp.zeros_like(y) if t is None else t for t, y in zip(tangent.y0, given.y0, strict=True)]
    ends = jnp.minimum(wanted.numbers, found.number)
    first = jnp.concatenate([jnp.zeros_like(ends[:1]), ends[:-1]])
    before = [
        jnp.concatenate([y[None], ys[:-1]]) for y, ys in zip(given.y0, found.states, strict=True)
    ]

    def stretch(constants: PyTree, stretch: PyTree, carry: PyTree, _: PyTree) -> Any:
        (fixed, steps), (first, count, y) = constants, stretch
        replay = Replay(options.halves, options.composition, flags, fixed, steps)
        carry = replay.stretch(first, count, y, carry, options.longest)
        return carry, carry[1]

    _, dstates = linear_scan(
        stretch,
        jnp.int32(len(ends)),
        (fixed, wanted.steps),
        (first, ends - first, before),
        (list(itertools.compress(moving, flags)), dy),
        (),
        length=len(ends),
    )
    still = [None] * (len(jax.tree.leaves(found)) - len(dstates))
    return jax.tree.leaves(found), [*dstates, *still]


def _flat(given: Given) -> list[jax.Array]:
    return [given.t0, given.t1, *given.parameters]
