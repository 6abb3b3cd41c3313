"""The times of a problem as arrays, with those of the layer where it has none."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from ._problem import Problem, check_samples
from ._step import Step
from ._times import are_apart, check_span, clock_times, rounding


class Times(NamedTuple):
    """When a problem is solved; all with a leading axis of samples, or none of them.

    Attributes:
        t0: () or (batch,), the start.
        t1: the end.
        ts: (n,) or (batch, n), the times at which the state is wanted; None for t1 alone.
        sound: whether they are finite and in order, and `ts` is within.
        first_step: the step that the solve begins with, where the problem has one.
    """

    t0: Array
    t1: Array
    ts: Array | None
    sound: Array
    first_step: Step | None = None


class _Given(NamedTuple):
    """Times before they are filled in: `ts` and `mask` may be None, and `t1` where `ts` is not."""

    t0: Any
    t1: Any
    ts: Any
    mask: Any


def times_of(
    name: str,
    problem: Problem,
    tspan: tuple[float, ...] | None,
    saveat: tuple[float, ...] | None,
    clock: np.dtype,
) -> Times:
    """The times of `problem` in the dtype of the clock, those of the layer where it has none.

    Args:
        name: of the layer, for the messages.
        problem: what is solved.
        tspan: (t0, t1) of the layer; None where there is no layer.
        saveat: of the layer, or None.
        clock: the real dtype of the state.

    Raises:
        TypeError: times that are not real numbers, or a mask that is not of booleans.
        ValueError: no times, shapes that do not fit, or, where they are known, times that are not
            in order, outside of `tspan`, or not apart in the dtype of the clock.
    """
    if problem.ts is None and problem.tspan is None and problem.mask is None and tspan is not None:
        t0, t1 = clock_times(name, tspan, clock)
        ts = None if saveat is None else clock_times(name, saveat, clock)
        return Times(t0, t1, ts, jnp.ones((), bool))
    if problem.ts is None and problem.tspan is None and tspan is None:
        raise ValueError(f"`{name}` expects a problem with `ts` or `tspan`, got neither.")
    ts = problem.ts
    if ts is None and saveat is not None:
        ts = np.asarray(saveat)
    _check_shapes(name, problem, ts)
    check_samples(name, problem)
    if problem.tspan is not None:
        t0, t1 = problem.tspan
    elif ts is None or problem.ts is None:
        t0, t1 = map(np.asarray, tspan or ())
    else:
        t0, t1 = (ts[..., 0] if tspan is None else np.asarray(tspan[0])), None
    given = _Given(t0, t1, ts, problem.mask)
    relative = rounding(*(part for part in given[:3] if part is not None))
    if not any(isinstance(part, Tracer) for part in given):
        with np.errstate(invalid="ignore"):  # Infinite times are refused just after.
            known = _resolved(np, _Given(*map(_in_float64, given)), relative)
        _check_values(name, known, clock)
    in_clock = _Given(*(part if part is None else _in_clock(part, clock) for part in given))
    return _resolved(jnp, in_clock, max(relative, float(jnp.finfo(clock).eps)))


def _check_shapes(name: str, problem: Problem, ts: jax.Array | np.ndarray | None) -> None:
    spans = [] if problem.tspan is None else list(problem.tspan)
    if problem.tspan is not None and len(spans) != 2:
        raise ValueError(f"`{name}` expects `tspan` to be the pair (t0, t1), got {problem.tspan}.")
    for part, word in ((ts, "ts"), *((span, "tspan") for span in spans)):
        if part is not None and part.dtype.kind not in "iuf" and part.dtype != jnp.bfloat16:
            raise TypeError(
                f"`{name}` expects `{word}` of real numbers, got {part.dtype.name}. Convert it."
            )
    if ts is not None and ts.ndim not in (1, 2):
        raise ValueError(
            f"`{name}` expects `ts` of shape (n,) or (batch, n), got {ts.shape}. A single time is "
            "of shape (1,)."
        )
    if ts is not None and ts.shape[-1] == 0:
        raise ValueError(f"`{name}` expects at least one time in `ts`, got the shape {ts.shape}.")
    if any(span.ndim > 1 for span in spans):
        shapes = tuple(span.shape for span in spans)
        raise ValueError(f"`{name}` expects `tspan` of shapes () or (batch,), got {shapes}.")
    mask = problem.mask
    if mask is None:
        return
    if mask.dtype != bool:
        raise TypeError(
            f"`{name}` expects `mask` of booleans, got {mask.dtype.name}. Compare it: mask > 0."
        )
    if ts is None or mask.shape != ts.shape:
        found = "no times" if ts is None else f"times of {ts.shape}"
        raise ValueError(
            f"`{name}` expects `mask` of the shape of `ts`, got {mask.shape} and {found}. "
            "Broadcast one to the other."
        )


def _check_values(name: str, times: Times, clock: np.dtype) -> None:
    """Raise for the first sample whose times are not in order, or not apart in the clock."""
    t0, t1 = (part[..., None] for part in times[:2])
    together = np.concatenate([t0, t1 if times.ts is None else times.ts, t1], axis=-1)
    if np.all(times.sound) and are_apart(together, clock):
        return
    for sample in np.ndindex(times.t0.shape):
        start, *wanted, end = together[sample].tolist()
        who = f"{name} of sample {sample[0]}" if sample else name
        if not np.isfinite(together[sample]).all():
            raise ValueError(f"`{who}` expects finite times, got {(start, *wanted, end)}.")
        if not times.sound[sample]:
            check_span(who, (start, end), tuple(wanted), "ts")
        clock_times(who, (start, *wanted, end), clock)


def _in_float64(part: jax.Array | np.ndarray | None) -> Any:
    if part is None or part.dtype == bool:
        return part
    return np.asarray(part).astype(np.float64)


def _in_clock(part: jax.Array | np.ndarray, clock: np.dtype) -> Array:
    return jnp.asarray(part) if part.dtype == bool else jnp.asarray(part).astype(clock)


def _resolved(xp: Any, given: _Given, relative: float) -> Times:
    """The times, with the end where none is given, and the time before in place of a masked one.

    Args:
        xp: NumPy or `jax.numpy`.
        given: what is known of the times.
        relative: the rounding of a time, relative to the larger end.
    """
    t0, t1, ts, mask = given
    batch = jnp.broadcast_shapes(
        np.shape(t0), () if t1 is None else np.shape(t1), () if ts is None else np.shape(ts)[:-1]
    )
    t0 = xp.broadcast_to(t0, batch)
    t1: Any = t1 if t1 is None else xp.broadcast_to(t1, batch)
    if ts is None:
        return Times(t0, t1, None, xp.isfinite(t0) & xp.isfinite(t1))
    ts = xp.broadcast_to(ts, (*batch, ts.shape[-1]))
    mask = mask if mask is None else xp.broadcast_to(mask, ts.shape)
    if mask is not None:
        last = xp.maximum.accumulate(xp.where(mask, xp.arange(ts.shape[-1]), -1), axis=-1)
        before = xp.take_along_axis(ts, xp.maximum(last, 0), axis=-1)
        ts = xp.where(last < 0, t0[..., None], before)
    t1 = ts[..., -1] if t1 is None else t1
    start, end = t0[..., None], t1[..., None]
    inside = xp.clip(ts, xp.minimum(start, end), xp.maximum(start, end))
    room = 4 * relative * xp.maximum(xp.abs(start), xp.abs(end))
    for edge in (start, end):
        inside = xp.where(xp.abs(ts - edge) <= room, edge, inside)
    close = xp.abs(ts - inside) <= room
    # The value of the end, and the derivative of the time.
    ts = xp.where(close, ts + (inside - ts if xp is np else jax.lax.stop_gradient(inside - ts)), ts)
    forward = xp.sign(end - start) * xp.diff(ts, axis=-1) >= 0
    outside = xp.abs(ts - inside) > room
    finite = xp.isfinite(t0) & xp.isfinite(t1) & xp.isfinite(ts).all(-1)
    return Times(t0, t1, ts, finite & forward.all(-1) & ~outside.any(-1))
