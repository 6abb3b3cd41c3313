"""Step: the step that a solve begins with, as data."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from ._as_array import as_array


class Step(NamedTuple):
    """The first step that a solve tries, and what its step control knows of the steps before.

    `solution.final.next_step` is one. diffrax reads the length alone.

    Attributes:
        length: in time, above 0 also where time runs backwards.
        last_error: the error of the step before, relative to the tolerance; a control with a
            proportional or derivative part reads it. 1 where there is no such step.
        error_before: that of the step before that.

    Example:
        >>> Step(0.1)
        Step(length=0.1, last_error=1.0, error_before=1.0)
    """

    length: Any
    last_error: Any = 1.0
    error_before: Any = 1.0


def as_step(value: Step | ArrayLike | None) -> Any:
    """A `Step` of arrays; None as it is."""
    if value is None:
        return None
    return Step(*map(as_array, value if isinstance(value, Step) else Step(value)))


def step_in_clock(
    name: str, step: Step, batch: tuple[int, ...], fixed: bool, clock: np.dtype
) -> Step:
    """The step in the dtype of the clock, of each sample if there are some.

    Args:
        name: of the layer, for the messages.
        step: the step.
        batch: the shape of the times.
        fixed: whether all steps have the length `dt0` of the method.
        clock: the real dtype of the state.

    Raises:
        TypeError: it is not of real numbers.
        ValueError: another shape, or, where it is known, a length that is not above 0 and finite.
    """
    if fixed:
        raise ValueError(
            f"`{name}` has fixed steps of the length `dt0`, got a `first_step`. Leave it out."
        )
    for part in step:
        if part.dtype.kind not in "iuf" and part.dtype != jnp.bfloat16:
            raise TypeError(
                f"`{name}` expects `first_step` of real numbers, got {part.dtype.name}. Convert it."
            )
        if part.shape not in ((), batch):
            raise ValueError(
                f"`{name}` expects `first_step` of the shape (){_or(batch)}, got {part.shape}. "
                "Only with times of each sample has each its own."
            )
    # Steps are constants in every derivative.
    given = jax.lax.stop_gradient(tuple(map(jnp.asarray, step)))
    cast = Step(*(jnp.broadcast_to(part.astype(clock), batch) for part in given))
    sound = is_sound(cast)
    if not isinstance(sound, Tracer) and not np.all(sound):
        raise ValueError(
            f"`{name}` expects `first_step` to have a finite length above 0 in {clock.name}, and "
            f"errors above 0, got {jax.tree.map(lambda part: part.tolist(), step)}. Leave it out "
            "and the solve chooses it."
        )
    return cast


def _or(batch: tuple[int, ...]) -> str:
    return f" or {batch}" if batch else ""


def is_sound(step: Step) -> Any:
    """Whether the length and the errors are finite and above 0."""
    return jnp.stack([(part > 0) & jnp.isfinite(part) for part in step]).all(0)
