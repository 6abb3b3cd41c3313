"""Times: Python floats in a layer, arrays in the real dtype of the state in a solve."""

import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

_NOT_REAL = "bcmMSU"  # NumPy would convert booleans, complex numbers, dates and text to floats.


def as_times(values: ArrayLike, layer: str, name: str) -> tuple[float, ...]:
    """`values` as a tuple of finite Python floats.

    Raises:
        TypeError: they are traced, or not numbers.
        ValueError: they are empty, not finite, or have more than one axis.
    """
    if any(isinstance(value, Tracer) for value in jax.tree.leaves(values)):
        raise TypeError(
            f"`{layer}` expects `{name}` to be known when the layer is built, got a traced array. "
            "Build the layer outside of jit, and give it traced times as data, in an ode.Problem."
        )
    try:
        if np.asarray(values).dtype.kind in _NOT_REAL:
            raise TypeError
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"`{layer}` expects `{name}` to be numbers, got {values!r}.") from None
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            f"`{layer}` expects `{name}` to be a sequence of finite times, got {values!r}."
        )
    return tuple(map(float, array))


def rounding(*values: ArrayLike | None) -> float:
    """The relative error of times, from the least precise of their dtypes."""
    dtypes = [np.dtype(getattr(value, "dtype", float)) for value in values]
    floats = [dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating)]
    return max([float(jnp.finfo(dtype).eps) for dtype in floats], default=0.0)


def ends_met(
    saveat: tuple[float, ...], tspan: tuple[float, ...], relative: float
) -> tuple[float, ...]:
    """`saveat`, with times that exceed an end of `tspan` only by rounding moved to that end.

    Args:
        saveat: the times.
        tspan: (t0, t1).
        relative: the rounding of a time, relative to the larger end.
    """
    least, most = min(tspan), max(tspan)
    room = 4 * relative * max(abs(least), abs(most))

    def met(t: float) -> float:
        inside = min(max(t, least), most)
        return inside if abs(t - inside) <= room else t

    return tuple(map(met, saveat))


def check_span(
    layer: str, tspan: tuple[float, ...], saveat: tuple[float, ...] | None, word: str = "saveat"
) -> None:
    """Raise unless `tspan` is a pair, and `saveat`, the times called `word`, sorted and within it.

    Raises:
        ValueError: names the first time that is out of order or out of range.
    """
    if len(tspan) != 2:
        raise ValueError(f"`{layer}` expects `tspan` to be the pair (t0, t1), got {tspan}.")
    t0, t1 = tspan
    direction = math.copysign(1.0, t1 - t0)
    for before, after in itertools.pairwise(saveat or ()):
        if direction * (after - before) < 0:
            raise ValueError(
                f"`{layer}` expects `{word}` to be sorted from t0={t0} to t1={t1}, got {before} "
                f"before {after}. Sort it."
            )
    for t in saveat or ():
        if not min(t0, t1) <= t <= max(t0, t1):
            raise ValueError(
                f"`{layer}` expects `{word}` within `tspan` = ({t0}, {t1}), got {t}. Widen "
                "`tspan` or leave it out."
            )


def clock_times(layer: str, times: tuple[float, ...], clock: np.dtype) -> jax.Array:
    """`times` in the dtype of the clock, which must represent them as different numbers.

    Raises:
        ValueError: a time overflows, two times become equal, or the distance of two times is right
            to less than half of the clock's digits.
    """
    cast = _cast(times, clock)
    if not are_apart(times, clock):
        raise ValueError(
            f"`{layer}` cannot tell its times apart in {clock.name}, the real dtype of the state: "
            f"{times} would be {tuple(cast.tolist())}. Let the times begin near 0, or give the "
            "state a wider dtype."
        )
    return jnp.asarray(cast, clock)


def are_apart(times: Sequence[float] | np.ndarray, clock: np.dtype) -> bool:
    """Whether the distances of times along the last axis keep half of the digits of `clock`."""
    wanted, cast = np.diff(times), _cast(times, clock)
    tolerance = float(jnp.finfo(clock).eps) ** 0.5
    moved = np.abs(np.diff(cast) - wanted) > tolerance * np.abs(wanted)
    return bool(np.isfinite(cast).all() and not moved.any())


def _cast(times: Sequence[float] | np.ndarray, clock: np.dtype) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(times, np.float64).astype(clock).astype(np.float64)


def real_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype of times for a state of `dtype`: the same, or that of its real part."""
    return jnp.finfo(dtype).dtype
