"""The adaptive loop: from the start to the end, remembering the steps."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..loops._across_batch import any_in_batch
from ..loops._while_loop import while_loop
from ..steps._all_stages import all_stages
from ..steps._control import (
    Adaptive,
    Control,
    Errors,
    Fixed,
    factor,
    first_step,
    largest_square,
)
from ..steps._form import Fields, Form
from ..steps._given import Given, Options, Steering
from ..steps._mass import Weighed, to_consistent
from ..steps._record import Record, empty, remembered, rows_of
from ..steps._step import (
    Field,
    Leaves,
    Stages,
    advanced,
    in_line,
    inside,
    no_stages,
    no_stages_in_line,
    put,
    table_of,
    weighted,
    with_stages,
)
from ..tableaus._rosenbrock import Rosenbrock
from ._ended import Ended, Tried
from ._sight import Seen, Watch, looked_over, nothing_seen

RUNNING, SUCCESSFUL, MAX_STEPS, STATE_NOT_FINITE, FIELD_NOT_FINITE, DIVERGED, NO_STEP = range(7)
INCONSISTENT = 7


class State(NamedTuple):
    """The state of the loop.

    Attributes:
        s: the fraction of t1 - t0 that is done.
        h: the length of the next step, as such a part.
        y: the state.
        first: du/dt now; empty for a method whose steps do not give it.
        errors: of the steps before.
        saves: how many wanted states are found.
        ys: their values; the last row takes what is not wanted.
        accepted: steps.
        tried: steps.
        evaluations: of the field.
        opening: the length of the first accepted step, as a part of the whole.
        result: RUNNING, or why it ended.
        record: of the steps; None where it is not wanted.
        seen: of conditions that are watched; None without them.
    """

    s: jax.Array
    h: jax.Array
    y: Leaves
    first: Leaves
    errors: Errors
    saves: jax.Array
    ys: Leaves
    accepted: jax.Array
    tried: jax.Array
    evaluations: jax.Array
    opening: jax.Array
    result: jax.Array
    record: Record | None
    seen: Seen | None = None


def places_of(given: Given) -> jax.Array:
    """The wanted times as parts of the whole."""
    span = given.t1 - given.t0
    nowhere = span == 0
    return jnp.where(nowhere, 1.0, (given.ts - given.t0) / jnp.where(nowhere, 1.0, span))


def number_reached(places: jax.Array, s: jax.Array) -> jax.Array:
    """How many of the wanted times lie at or before the part `s` of the whole."""
    return jnp.where(s >= 1, len(places), jnp.sum(places <= s, dtype=jnp.int32))


def run(
    form: Form,
    options: Options,
    given: Given,
    steering: Steering,
    remember: bool,
    watch: Watch | None = None,
) -> Ended:
    """The loop, to its end, or to the first step in which a watched condition reaches 0.

    Args:
        form: of the field.
        options: what is known before.
        given: what is solved.
        steering: what the steps depend on.
        remember: whether the steps are recorded.
        watch: the conditions; None without them.
    """
    places, fields = places_of(given), form.at(given.parameters)
    start = _start(fields, options, given, steering, remember)
    if watch is not None:
        start = start._replace(seen=nothing_seen(watch, given.t0, given.y0))
    attempt = functools.partial(_attempt, fields, options, given, steering, places, watch)
    end = while_loop(lambda state: any_in_batch(_goes_on(state)), attempt, start)
    tried = Tried(end.tried, end.evaluations, end.opening, end.h, end.errors)
    return Ended(end.s, end.y, end.ys, end.accepted, tried, end.result, end.record, end.seen)


def _goes_on(state: State) -> jax.Array:
    return state.result == RUNNING


def _start(
    fields: Fields, options: Options, given: Given, steering: Steering, remember: bool
) -> State:
    clock, span = given.t0.dtype, given.t1 - given.t0
    field, arrays = fields.of_steps, fields.states(given.y0)
    slope = field(given.t0, given.y0)
    if steering.dt0 is not None:
        h = steering.dt0
    elif isinstance(field, Weighed):
        # The slope is not known, and may not be of the size of the first change.
        h = 1e-6 * jnp.abs(span)
    else:
        tolerances = (steering.rtol, steering.atol, options.samples)
        h = first_step(field, options.tableau, given.t0, span, given.y0, slope, *tolerances)
    part = jnp.abs(h) / jnp.where(span == 0, 1.0, jnp.abs(span))
    zero, one = jnp.zeros((), jnp.int32), jnp.ones((), clock)
    faults = [~all_finite(slope), ~all_finite(given.y0)]
    result = jnp.where(_starts_well(field, options, given, steering), RUNNING, INCONSISTENT)
    result = jnp.where(faults[0], FIELD_NOT_FINITE, result)
    record = empty(options.max_steps, options.capacity, clock, given.y0) if remember else None
    count = len(given.ts)
    return State(
        s=jnp.zeros((), clock),
        h=jnp.where(span == 0, 1.0, part),
        y=given.y0,
        # By components it is cheaper to evaluate than to keep.
        first=slope if options.tableau.fsal and not fields.by_components else [],
        errors=steering.errors or Errors(one, one),
        saves=zero,
        ys=[jnp.full((count + 1, *y.shape), jnp.nan, y.dtype) for y in arrays] if count else [],
        accepted=zero,
        tried=zero,
        # That of the slope, and another that chooses the first step.
        evaluations=zero + (1 if steering.dt0 is not None else 2),
        opening=jnp.zeros((), clock),
        result=jnp.where(faults[1], STATE_NOT_FINITE, result).astype(jnp.int32),
        record=record,
    )


def _starts_well(
    field: Field, options: Options, given: Given, steering: Steering
) -> jax.Array | bool:
    """Whether the state at the start fulfils the algebraic equations, if any, to the tolerance."""
    if not isinstance(field, Weighed):
        return True
    y0 = given.y0
    away = to_consistent(field, given.t0, y0)
    return largest_square(away, y0, y0, steering.rtol, steering.atol, options.samples) <= 1


def all_finite(leaves: Leaves) -> jax.Array:
    """Whether every number is finite."""
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]).all()


class Trial(NamedTuple):
    """A step that may be accepted.

    Attributes:
        length: as a part of the whole.
        last: whether it ends the solve.
        t: its start.
        h: its length in time.
        end: the fraction of t1 - t0 that is done after it.
        until: how many wanted states are found then.
        stages: du/dt at its stages; of arrays, where it has wanted states, with those they need.
        y1: the state at its end.
        error: relative to the tolerance.
        evaluations: of the field, for this step by itself.
    """

    length: jax.Array
    last: jax.Array
    t: jax.Array
    h: jax.Array
    end: jax.Array
    until: jax.Array
    stages: Stages
    y1: Leaves
    error: jax.Array
    evaluations: jax.Array


def _trial(
    fields: Fields,
    options: Options,
    given: Given,
    steering: Steering,
    places: jax.Array,
    watched: bool,
    state: State,
) -> Trial:
    tableau, y = options.tableau, state.y
    span, rest = given.t1 - given.t0, 1 - state.s
    # What rounding leaves of the whole belongs to the last step, if it is a small part of one.
    rounding = jnp.minimum(100 * float(jnp.finfo(span.dtype).eps), state.h / 10)
    last = rest <= state.h + rounding
    end = jnp.where(last, 1.0, _next(options.control, state))
    # By as much as the clock moves, which rounds: many short steps would run ahead of it.
    length = end - state.s
    t, h = given.t0 + state.s * span, length * span
    until = number_reached(places, end)
    field, table, count = fields.of_steps, table_of(tableau, y), tableau.num_stages
    more = len(table.c) if state.ys or watched else count
    looks = jnp.ones((), bool) if watched else until > state.saves
    wanted = any_in_batch(_goes_on(state) & looks)
    if fields.by_components:
        stages = in_line(field, t, h, y, table, no_stages_in_line(y), count)
        extra = more if state.ys else 0
    elif isinstance(tableau, Rosenbrock):
        stages, extra = all_stages(tableau, field, t, h, y), 0
    else:
        first, extra = state.first if tableau.fsal else field(t, y), more - count
        stop = jnp.where(wanted, more, count) if extra else np.int32(count)
        stages = put(no_stages(more, y), 0, first)
        stages = with_stages(field, t, h, y, table, stages, 1, stop)
    y1 = advanced(y, h, tableau.float64.b, stages)
    error = _error(options, steering, h, y, y1, stages)
    evaluations = count - int(bool(state.first)) + jnp.where(looks, extra, 0)
    return Trial(length, last, t, h, end, until, stages, y1, error, evaluations.astype(jnp.int32))


def _next(control: Control, state: State) -> jax.Array:
    """The fraction that is done after a step that is not the last."""
    if isinstance(control, Fixed):  # A product, in which rounding does not add up.
        return (state.accepted + 1).astype(state.h.dtype) * state.h
    return state.s + state.h


def _attempt(
    fields: Fields,
    options: Options,
    given: Given,
    steering: Steering,
    places: jax.Array,
    watch: Watch | None,
    state: State,
) -> State:
    """One step, accepted or not; a solve that has ended stays as it is."""
    live, y = _goes_on(state), state.y
    trial = _trial(fields, options, given, steering, places, watch is not None, state)
    accepted = live & (trial.error <= 1)

    def chosen(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(accepted, new, old)

    trial = trial._replace(until=chosen(trial.until, state.saves))
    saves, ys = (state.saves, state.ys)
    if ys:
        saves, ys = _saved(fields, options, trial, places, state)
    longer = _change(options, trial.error, state.errors)
    # Of a rejected step also what rounding added to it, or it might not get shorter.
    length = chosen(trial.length, jnp.minimum(trial.length, state.h))
    length = state.h if isinstance(options.control, Fixed) else length
    s, following = chosen(trial.end, state.s), jnp.where(live, length * longer, state.h)
    # The last step may be cut so short that its error does not tell how long another can be.
    grow = options.control.grow if isinstance(options.control, Adaptive) else 1.0
    short = trial.last & accepted & (longer >= grow)
    following = jnp.where(short, jnp.maximum(state.h, following), following)
    history = zip((trial.error, state.errors.last), state.errors, strict=True)
    tried = state.tried + live.astype(jnp.int32)
    result = jnp.where(tried >= options.max_steps, MAX_STEPS, RUNNING)
    stuck = s + following <= s
    if isinstance(options.control, Fixed):
        stuck &= ~accepted
    result = jnp.where(stuck, jnp.where(jnp.isfinite(trial.error), NO_STEP, DIVERGED), result)
    seen = None if watch is None else _seen(watch, options, given, trial, accepted, state)
    ends = trial.last if seen is None else trial.last | seen.found
    result = jnp.where(accepted & ends, SUCCESSFUL, result)
    last_stage = [k[options.tableau.num_stages - 1] for k in trial.stages]
    return State(
        s=s,
        h=following,
        y=list(map(chosen, trial.y1, y)),
        first=list(map(chosen, last_stage, state.first)) if state.first else [],
        errors=Errors(*(jnp.where(accepted & ~short, new, old) for new, old in history)),
        saves=saves,
        ys=ys,
        accepted=state.accepted + accepted.astype(jnp.int32),
        tried=tried,
        evaluations=state.evaluations + jnp.where(live, trial.evaluations, 0),
        opening=chosen(jnp.where(state.opening == 0, trial.length, state.opening), state.opening),
        result=jnp.where(live, result, state.result).astype(jnp.int32),
        record=_recorded(options, trial.length, accepted, state),
        seen=seen,
    )


def _seen(
    watch: Watch,
    options: Options,
    given: Given,
    trial: Trial,
    accepted: jax.Array,
    state: State,
) -> Any:
    """What is seen of the conditions after an accepted step, else what was before."""
    t = given.t0 + state.s * (given.t1 - given.t0)
    end = jnp.where(trial.last, given.t1, t + trial.h)
    inner = functools.partial(inside, options.tableau, h=trial.h, y=state.y, stages=trial.stages)
    before = state.seen or nothing_seen(watch, t, state.y)
    seen = looked_over(watch, before, (t, trial.h, state.y), inner, (end, trial.y1))
    return jax.tree.map(lambda new, old: jnp.where(accepted, new, old), seen, before)


def _recorded(
    options: Options, length: jax.Array, accepted: jax.Array, state: State
) -> Record | None:
    if state.record is None:
        return None
    rows, _ = rows_of(options.max_steps, options.capacity)
    length = jnp.where(accepted, length, 0.0)
    return remembered(state.record, rows, length, state.s, state.y, any_in_batch(accepted))


def _error(
    options: Options,
    steering: Steering,
    h: jax.Array,
    y0: Leaves,
    y1: Leaves,
    stages: Stages,
) -> jax.Array:
    """Of a step, relative to the tolerance; infinite for one to a state that is not finite."""
    arrays, finite = options.tableau.float64, all_finite(y1)
    if isinstance(options.control, Fixed) or arrays.b_error is None:
        return jnp.where(finite, 0.0, jnp.inf).astype(h.dtype)
    tolerances = (y0, y1, steering.rtol, steering.atol, options.samples)
    square = largest_square(weighted(h, arrays.b_error, stages), *tolerances)
    if arrays.b_error_coarse is not None:
        coarse = largest_square(weighted(h, arrays.b_error_coarse, stages), *tolerances)
        both = square + 0.01 * coarse
        square = jnp.where(both == 0, 0.0, square * (square / jnp.where(both == 0, 1.0, both)))
    # Powers of it stay finite.
    least = float(jnp.finfo(square.dtype).tiny) ** 0.5
    square = jnp.where(finite & jnp.isfinite(square), jnp.maximum(square, least), jnp.inf)
    # The root comes last: XLA computes what it reads once, and not for each that reads it.
    return jnp.sqrt(square).astype(h.dtype)


def _change(options: Options, error: jax.Array, errors: Errors) -> jax.Array:
    if isinstance(options.control, Adaptive):
        return factor(options.control, options.tableau.order, error, errors)
    return jnp.where(jnp.isfinite(error), 1.0, 0.0).astype(error.dtype)


def _saved(
    fields: Fields, options: Options, trial: Trial, places: jax.Array, state: State
) -> tuple[jax.Array, Leaves]:
    """How many wanted states are found, and they, with those inside this step."""
    y, stages = fields.states(state.y), trial.stages
    if fields.by_components:
        table = table_of(options.tableau, y)
        wanted = any_in_batch(trial.until > state.saves)
        room, stop = no_stages(len(table.c), y), jnp.where(wanted, len(table.c), 0)
        stages = with_stages(fields.of_arrays, trial.t, trial.h, y, table, room, 0, stop)

    def save(saved: tuple[jax.Array, Leaves]) -> tuple[jax.Array, Leaves]:
        at, ys = saved
        wanted = at < trial.until
        fraction = (places[at] - state.s) / jnp.where(trial.length == 0, 1.0, trial.length)
        values = inside(options.tableau, fraction, trial.h, y, stages)
        row = jnp.where(wanted, at, len(places))
        return at + wanted.astype(jnp.int32), put(ys, row, values)

    return jax.lax.while_loop(
        lambda saved: any_in_batch(saved[0] < trial.until), save, (state.saves, state.ys)
    )
