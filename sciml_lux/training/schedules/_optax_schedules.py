"""The schedules of optax, exact in float64."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from ._exact_schedule import Schedule, exact_schedule


@functools.wraps(optax.schedules.polynomial_schedule)
def _polynomial_schedule(
    init_value: float,
    end_value: float,
    power: float,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    """optax's, clipped: compiled, 1 - n/n may be below 0, and a fractional power of it NaN."""
    if transition_steps <= 0:
        return optax.schedules.constant_schedule(init_value)

    def schedule(count: jax.Array) -> Any:
        done = (count - max(transition_begin, 0)) / transition_steps
        return (init_value - end_value) * jnp.clip(1 - done, 0, 1) ** power + end_value

    return schedule


def _exact(make: Callable[..., Schedule], arguments: str, value: str) -> Callable[..., Schedule]:
    """A schedule of optax by its own name and arguments, exact.

    Args:
        make: optax's function.
        arguments: of the example in the docstring.
        value: of the example at step 5.
    """

    @functools.wraps(make)
    def made(*args: Any, **kwargs: Any) -> Schedule:
        return exact_schedule(make(*args, **kwargs))

    name = make.__name__
    made.__doc__ = f"""{inspect.cleandoc(make.__doc__ or "").partition("Example")[0].rstrip()}

Source: `optax.{name}`, here evaluated by `exact_schedule`.

Example:
    >>> from sciml_lux.training import schedules
    >>> schedule = schedules.{name}({arguments})
    >>> round(float(schedule(5)), 6)
    {value}
"""
    return made


constant_schedule = _exact(optax.schedules.constant_schedule, "0.1", "0.1")
cosine_decay_schedule = _exact(optax.schedules.cosine_decay_schedule, "0.1, decay_steps=10", "0.05")
cosine_onecycle_schedule = _exact(
    optax.schedules.cosine_onecycle_schedule, "transition_steps=10, peak_value=0.1", "0.081175"
)
exponential_decay = _exact(
    optax.schedules.exponential_decay, "0.1, transition_steps=10, decay_rate=0.25", "0.05"
)
join_schedules = _exact(
    optax.schedules.join_schedules, "[lambda n: 0.1, lambda n: 0.01 * n], boundaries=[3]", "0.02"
)
linear_onecycle_schedule = _exact(
    optax.schedules.linear_onecycle_schedule, "transition_steps=10, peak_value=0.1", "0.0616"
)
linear_schedule = _exact(optax.schedules.linear_schedule, "0.1, 0.0, transition_steps=10", "0.05")
piecewise_constant_schedule = _exact(
    optax.schedules.piecewise_constant_schedule, "0.1, {3: 0.5}", "0.05"
)
piecewise_interpolate_schedule = _exact(
    optax.schedules.piecewise_interpolate_schedule, "'linear', 0.1, {10: 0.5}", "0.075"
)
polynomial_schedule = _exact(
    _polynomial_schedule, "0.1, 0.0, power=2, transition_steps=10", "0.025"
)
sgdr_schedule = _exact(
    optax.schedules.sgdr_schedule,
    "[dict(init_value=0.0, peak_value=0.1, warmup_steps=2, decay_steps=8)]",
    "0.05",
)
warmup_constant_schedule = _exact(
    optax.schedules.warmup_constant_schedule, "0.0, 0.1, warmup_steps=10", "0.05"
)
warmup_cosine_decay_schedule = _exact(
    optax.schedules.warmup_cosine_decay_schedule,
    "0.0, 0.1, warmup_steps=10, decay_steps=20",
    "0.05",
)
warmup_exponential_decay_schedule = _exact(
    optax.schedules.warmup_exponential_decay_schedule,
    "0.0, 0.1, warmup_steps=3, transition_steps=2, decay_rate=0.5",
    "0.05",
)
