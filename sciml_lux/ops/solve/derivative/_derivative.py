"""The derivative of a solve: of the steps that it took, with their lengths as constants."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..forward._ended import Tried
from ..forward._loop import places_of, run
from ..loops._across_batch import largest_in_batch
from ..loops._dynamic_scan import linear_scan
from ..rules._of_member import linear_of_member, of_member
from ..rules._own_derivative import Tangents, with_own_derivative
from ..steps._form import Form
from ..steps._given import Given, Options, Steering
from ..steps._record import Record, order_of, rows_of
from ..steps._step import Leaves
from ._replay import Replay, flat

_STILL = object()
"""In the place of a tangent that is 0."""


class Found(NamedTuple):
    """The result of a solve.

    Attributes:
        y1: the state at the end, or where it stopped.
        ys: the states at the wanted times; NaN after it stopped.
        s: the fraction of t1 - t0 that was done.
        accepted: steps.
        tried: what it has tried, and would try next.
        result: why it ended.
        record: of the steps, or None.
    """

    y1: Leaves
    ys: Leaves
    s: jax.Array
    accepted: jax.Array
    tried: Tried
    result: jax.Array
    record: Record | None


def solved(form: Form, options: Options, remember: bool, given: Given, steering: Steering) -> Any:
    """The solve, `Found`, which has every derivative by `given`.

    Args:
        form: of the field.
        options: what is known before.
        remember: whether the record is wanted.
        given: what it depends on.
        steering: what its steps depend on.
    """
    function = functools.partial(_taken, form, options, remember)
    tree = jax.tree.structure((given, steering))
    rule = functools.partial(_moved, form, options, remember, tree)
    return with_own_derivative(function, rule, given, steering)


def _taken(form: Form, options: Options, remember: bool, given: Given, steering: Steering) -> Found:
    def taken(given: Given, steering: Steering) -> Found:
        end = run(form, options, given, steering, remember)
        ys = form.split_rows([kept[:-1] for kept in end.ys])
        return Found(end.y, ys, end.s, end.accepted, end.tried, end.result, end.record)

    if not form.by_components:
        return taken(given, steering)
    kernel = None if form.kernels is None else form.kernels.forward(remember)
    return of_member(taken, kernel, given, steering)


def _moved(
    form: Form,
    options: Options,
    remember: bool,
    tree: Any,
    operands: Sequence[jax.Array],
    tangents: Tangents,
) -> tuple[list[jax.Array], Tangents]:
    """The rule: the tangents of the recorded steps."""
    given, steering = tree.unflatten(operands)
    found = solved(form, options, remember or not options.again, given, steering)
    tangent, _ = tree.unflatten(tangents)
    tangent = tangent._replace(y0=list(map(_instantiated, tangent.y0, given.y0)))
    if form.by_components:
        known = steering if options.again else found.record
        moved = _replayed_of_member(form, options, remember, given, known, tangent)
    else:
        moved = _replayed(form, options, remember, given, found.record, tangent)
    dy1, dys, states = moved
    still = jax.tree.map(lambda _: _STILL, found)
    record = still.record._replace(states=states) if remember else None
    moved = still._replace(y1=dy1, ys=dys, record=record)
    results = found if remember else found._replace(record=None)
    leaves = (None if t is _STILL else t for t in jax.tree.leaves(moved))
    return jax.tree.leaves(results), list(leaves)


def _replayed_of_member(
    form: Form,
    options: Options,
    remember: bool,
    given: Given,
    known: Record | Steering,
    tangent: Given,
) -> Any:
    """As `_replayed`, of one member of a batch, with a kernel for its transpose if it has one.

    With what its steps depend on, in place of the record, it takes them again.
    """
    times, kernel = tangent[:3], None
    if form.kernels is not None and all(time is None for time in times):
        kernel = form.kernels.backward(tuple(d is not None for d in tangent.parameters))

    def replayed(residuals: PyTree, tangents: PyTree) -> Any:
        (t0, t1, ts, parameters, y0, known), moves = residuals, tangents
        dt0, dt1, dts, dparameters, dy0 = moves
        given = Given(t0, t1, ts, y0, parameters)
        record = known
        if options.again:
            record = solved(form, options, True, given, known).record
        if form.kernels is None:  # Then all of a batch have as many rows, of as many steps.
            steps, stride = map(largest_in_batch, (record.steps, record.stride))
            # Nothing is divided by the stride of an empty batch, which is 0.
            stride = jnp.maximum(stride, 1)
            record = Record(record.lengths, record.starts, record.states, steps, stride)
        given = given._replace(y0=dy0)
        moved = Given(dt0, dt1, dts, dy0, dparameters)
        dy1, dys, states = _replayed(form, options, remember, given, record, moved)
        return dy1, form.split_rows(dys), states

    # A kernel reads no states at the start.
    y0 = given.y0 if options.again else None
    residuals = (*given[:3], given.parameters, y0, known)
    moved = (*times, tangent.parameters, tangent.y0)
    return linear_of_member(replayed, kernel, residuals, moved)


def _replayed(
    form: Form,
    options: Options,
    remember: bool,
    given: Given,
    record: Record,
    tangent: Given,
) -> tuple[Leaves, Leaves, Leaves]:
    """The tangents of the state at the end, at the wanted times, and at the starts of rows."""
    rows, longest = rows_of(options.max_steps, options.capacity)
    fixed, moved = flat(given), flat(tangent)
    flags = [t is not None for t in moved]
    linear = list(itertools.compress(moved, flags))
    replay = Replay(form, options, flags, remember)
    places = jax.lax.stop_gradient(places_of(given))
    constants = (fixed, places, record.lengths, record.steps, record.stride)
    thinned = longest > 1
    order = order_of(record, rows) if thinned else None
    length = rows + int(thinned)
    start = list(tangent.y0)
    saved = [jnp.zeros((len(places), *y.shape), y.dtype) for y in form.states(given.y0)]
    count = jax.lax.div(record.steps + record.stride - 1, record.stride)
    bodies = [(replay.row, count)] if thinned else [(replay.single, count)]
    if thinned and form.by_components:
        # Rows of one step, as most have, do without the loops of the others.
        ones = jnp.where(record.stride == 1, count, 0)
        bodies = [(replay.single, ones), (replay.row, count - ones)]
    carry, states = (linear, start, saved if len(places) else []), []
    for body, number in bodies:
        carry, found = linear_scan(
            body,
            number,
            constants,
            (np.arange(length, dtype=np.int32), record.starts, record.states),
            carry,
            (),
            length=length,
            order=order,
        )
        states.append(found)
    return carry[1], carry[2], jax.tree.map(lambda *rows: sum(rows), *states)


def _instantiated(tangent: jax.Array | None, like: jax.Array) -> jax.Array:
    return jnp.zeros_like(like) if tangent is None else tangent
