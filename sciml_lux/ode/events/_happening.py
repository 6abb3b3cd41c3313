"""Happening: the events of a solve as functions of arrays."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import PyTree

from ...core import Parameters
from ...core.internal import describe, named_leaves, subject
from ..adjoints._steady_state import SteadyStateAdjoint
from ..equation._equation import function_of
from ..equation._solvable import Inputs, Solvable
from ..equation._with_cost import WithCost, state_of
from ..method._method import plain
from ._event import Event, PresetTimes


class Happening(NamedTuple):
    """What may happen in a solve.

    Attributes:
        conditions: (n,) of a time and a state with or without a cost; a tree. n may be 0.
        directions: (n,) of the conditions.
        places: (n,) of the conditions among the events.
        affects: of each event, the state after, of a time and a state with or without a cost.
        ends: (k,) of each event, whether the solve ends there.
        preset: (m,) the preset times in the order in which they come; those that do not happen
            last.
        preset_places: (m,) of these among the events.
        num_preset: how many happen.
        sound: whether all preset times are numbers.
        max_events: how many may happen that are not preset.
    """

    conditions: Callable[[jax.Array, PyTree], jax.Array]
    directions: np.ndarray
    places: np.ndarray
    affects: Sequence[Callable[[jax.Array, PyTree], PyTree]]
    ends: np.ndarray
    preset: jax.Array
    preset_places: jax.Array
    num_preset: jax.Array
    sound: jax.Array
    max_events: int

    @property
    def num_stretches(self) -> int:
        """The most stretches between events that a solve has."""
        goes_on = not self.ends[self.places].all()
        return len(self.preset) + 1 + (self.max_events if goes_on else 0)


def happening_of(
    layer: Solvable, span: jax.Array, u0: PyTree, ps: Parameters, inputs: Inputs
) -> Happening:
    """The events of `layer`, for these parameters, and times and states like these.

    Raises:
        TypeError: a condition is not a real scalar in the dtype of time, or an affect changes the
            dtype or the tree of the state.
        ValueError: an affect changes the shape of the state.
    """
    more = () if inputs is None else (inputs,)
    events, t0 = layer.events, span[0]
    places = [i for i, event in enumerate(events) if isinstance(event, Event)]

    def conditions(t: jax.Array, u: PyTree) -> jax.Array:
        values = [events[i].condition(t, u, ps, *more) for i in places]
        for i, value in zip(places, values, strict=True):
            _check_condition(layer, i, value, span.dtype)
        return jnp.stack(values) if values else jnp.zeros(0, span.dtype)

    def affect(event: Event | PresetTimes) -> Callable[..., Any]:
        return lambda t, u: u if event.affect is None else event.affect(t, u, ps, *more)

    program = jax.make_jaxpr(conditions)(t0, u0)
    affects = [affect(event) for event in events]
    for i, function in enumerate(affects):
        _check_affect(layer, i, jax.eval_shape(function, t0, u0), u0)
    preset, owners, count, sound = _schedule(events, span, ps)
    directions = np.asarray([events[i].direction for i in places], span.dtype)
    return Happening(
        Partial(_of_state, function_of(program, [0], _first)),
        directions,
        np.asarray(places, np.int32),
        [_beside_cost(function) for function in affects],
        np.asarray([event.ends for event in events], bool),
        preset,
        owners,
        count,
        sound,
        layer.max_events,
    )


def check_method(layer: Solvable) -> None:
    """Raise if `layer` has events, and its method an option that a solve with events lacks.

    Raises:
        ValueError: names the option.
    """
    method = layer.method
    adjoint = plain(method.adjoint)
    # One differentiates by no time; the other would take each event for a steady state.
    without = isinstance(adjoint, diffrax.BacksolveAdjoint | SteadyStateAdjoint)
    found = "dense=True" if method.dense else "estimates=True" if method.estimates else None
    found = f"adjoint={type(adjoint).__name__}" if without else found
    if layer.events and found is not None:
        raise ValueError(
            f"{subject(layer)} has `events`, with which {found} is not possible. Leave it out"
            + (
                "."
                if without
                else ", and take the states between events at the times of the problem."
            )
        )


def _schedule(
    events: Sequence[Any], span: jax.Array, ps: Parameters
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The preset times in order, the places of their events, how many happen, and are numbers."""
    found = [(i, e.times(ps, span.dtype)) for i, e in enumerate(events) if hasattr(e, "ts")]
    if not found:
        none = jnp.zeros(0, jnp.int32)
        return none.astype(span.dtype), none, jnp.zeros((), jnp.int32), jnp.ones((), bool)
    times = jnp.concatenate([ts for _, ts in found])
    owners = np.concatenate([np.full(ts.shape, i, np.int32) for i, ts in found])
    t0, t1 = span
    inside = (times >= jnp.minimum(t0, t1)) & (times <= jnp.maximum(t0, t1))
    sound = ~jnp.isnan(times).any()
    # Not a number times infinity, which would be the derivative by one that does not happen.
    times = jnp.where(inside, times, t1)
    along = jnp.where(inside, jnp.sign(t1 - t0) * times, jnp.inf)
    order = jnp.argsort(jax.lax.stop_gradient(along), stable=True)
    count = jnp.sum(inside, dtype=jnp.int32)
    return times[order], jnp.asarray(owners)[order], count, sound


def _first(values: Sequence[jax.Array]) -> jax.Array:
    return values[0]


def _of_state(conditions: Callable[..., jax.Array], t: jax.Array, u: PyTree) -> jax.Array:
    return conditions(t, state_of(u))


def _beside_cost(function: Callable[..., Any]) -> Callable[..., Any]:
    def affected(t: jax.Array, u: PyTree) -> Any:
        after = function(t, state_of(u))
        return WithCost(after, u.cost) if isinstance(u, WithCost) else after

    return affected


def _check_condition(layer: Solvable, number: int, value: Any, clock: np.dtype) -> None:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape == () and dtype == clock:
        return
    more = ""
    if shape:
        more = (
            " For events of each sample give the problem times of each sample, or map the solve "
            "with `jax.vmap`."
        )
    raise TypeError(
        f"{subject(layer)}: `condition` of `events[{number}]` must return a real scalar in the "
        f"dtype of time, {clock.name}, got {describe(value)}.{more}"
    )


def _check_affect(layer: Solvable, number: int, after: PyTree, u: PyTree) -> None:
    who = f"{subject(layer)}: `affect` of `events[{number}]`"
    if jax.tree.structure(after) != jax.tree.structure(u):
        raise TypeError(
            f"{who} must return a tree like the state, expected {jax.tree.structure(u)}, got "
            f"{jax.tree.structure(after)}."
        )
    returned = named_leaves(after)
    for name, leaf in named_leaves(u).items():
        if describe(leaf) != describe(returned[name]):
            where = f" at `{name}`" if name else ""
            error = TypeError if leaf.dtype != returned[name].dtype else ValueError
            raise error(
                f"{who} must return the shape and dtype of the state{where}, expected "
                f"{describe(leaf)}, got {describe(returned[name])}."
            )
