"""Event and PresetTimes: what may happen in a solve."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ...core import StaticValue
from ...core.internal import check_choice, check_function, check_integer
from ..method._method import hashable, plain
from ..problem._times import as_times


class Event(StaticValue):
    """What happens when `condition(t, u, args)` reaches 0.

    Args:
        condition: `condition(t, u, args)`, a real scalar, which is 0 at the event. It gets the
            `args` of `ode.solve` or the parameters of a layer, and after them the inputs of a
            problem that has some.
        affect: `affect(t, u, args) -> u`, the state just after the event, from which the solve goes
            on. None leaves the state as it is.
        direction: 1 where only a condition that rises while the solve goes on counts, -1 where only
            one that falls does, 0 for both.
        terminal: whether the solve ends there. None ends it where there is no `affect`.

    A condition that is 0 at t0 does not count before it has left 0; so it is after an event.

    Raises:
        TypeError: `condition` or `affect` is not a function, or `terminal` not a boolean.
        ValueError: another `direction`.

    Source: `ContinuousCallback` of DifferentialEquations.jl, and `Event` of diffrax.

    Example:
        A ball that is dropped hits the ground:

        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> def field(t, u, gravity):
        ...     height, speed = u
        ...     return jnp.stack([speed, -gravity])
        >>> ground = ode.Event(lambda t, u, gravity: u[0])
        >>> problem = ode.Problem(jnp.asarray([1.0, 0.0], jnp.float32), tspan=(0.0, 10.0))
        >>> solution = ode.solve(field, problem, jnp.float32(9.81), events=(ground,))
        >>> round(float(solution.final.t), 4)  # The root of 2 / 9.81.
        0.4515
    """

    condition: Callable[..., Any]
    affect: Callable[..., Any] | None = None
    direction: int = 0
    terminal: bool | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        check_function("Event", "condition", self.condition)
        if self.affect is not None:
            check_function("Event", "affect", self.affect)
        check_choice("Event", "direction", self.direction, (-1, 0, 1))
        if not (self.terminal is None or isinstance(self.terminal, bool)):
            raise TypeError(
                f"`Event` expects `terminal` to be None, True or False, got {self.terminal!r}."
            )

    @property
    def ends(self) -> bool:
        """Whether the solve ends there."""
        return self.affect is None if self.terminal is None else self.terminal


class PresetTimes(StaticValue):
    """What happens at times that are known before.

    Args:
        ts: the times, numbers or a (n,) array, also traced, in any order; or a function of the
            `args` of `ode.solve`, or of the parameters of a layer, that returns such an array. The
            state has a derivative by them. Those outside of the span, such as infinite ones, do not
            happen.
        affect: `affect(t, u, args) -> u`, the state just after.

    Raises:
        TypeError: `affect` is not a function, or `ts` are neither real numbers nor a function.
        ValueError: `ts` are empty, NaN, or have more than one axis.

    Source: `PresetTimeCallback` of DifferentialEquations.jl.

    Example:
        A dose every hour:

        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> dose = ode.PresetTimes([0.0, 1.0, 2.0], lambda t, u, rate: u + 1.0)
        >>> problem = ode.Problem(jnp.zeros((), jnp.float32), tspan=(0.0, 3.0))
        >>> solution = ode.solve(lambda t, u, rate: -rate * u, problem, 0.5, events=(dose,))
        >>> round(float(solution.final.u), 4)  # exp(-1.5) + exp(-1) + exp(-0.5)
        1.1975
    """

    ts: Any
    affect: Callable[..., Any]

    def __post_init__(self) -> None:
        """Check the fields, and make known times Python floats."""
        check_function("PresetTimes", "affect", self.affect)
        object.__setattr__(self, "ts", _times(plain(self.ts)))

    @property
    def ends(self) -> bool:
        """Whether the solve ends there: no."""
        return False

    @property
    def is_traced(self) -> bool:
        """Whether the times are traced."""
        return isinstance(plain(self.ts), Tracer)

    def times(self, args: Any, clock: np.dtype) -> jax.Array:
        """(n,) the times, in the dtype of the clock.

        Raises:
            TypeError: a function returns something else than real numbers.
            ValueError: it returns another shape.
        """
        ts = plain(self.ts)
        if callable(ts):
            ts = jnp.atleast_1d(jnp.asarray(ts(args)))
            _check_array(ts)
        return jnp.asarray(ts).astype(clock)


def _times(ts: Any) -> Any:
    if callable(ts):
        return ts
    if isinstance(ts, Tracer):
        ts = jnp.atleast_1d(ts)
        _check_array(ts)
        return hashable(ts)
    values = np.atleast_1d(np.asarray(ts))
    if _is_real(values.dtype):
        values = values.astype(np.float64)
        as_times(np.where(np.isinf(values), 0.0, values), "PresetTimes", "ts")
        return tuple(values.tolist())
    return as_times(values, "PresetTimes", "ts")


def _is_real(dtype: np.dtype) -> bool:
    return dtype.kind in "iuf" or dtype == jnp.bfloat16


def _check_array(ts: jax.Array) -> None:
    if not _is_real(ts.dtype):
        raise TypeError(f"`PresetTimes` expects `ts` of real numbers, got {ts.dtype.name}.")
    if ts.ndim != 1 or ts.size == 0:
        raise ValueError(f"`PresetTimes` expects `ts` of the shape (n,), got {ts.shape}.")


def check_events(name: str, events: Sequence[Any], max_events: int) -> None:
    """Raise unless `events` is a tuple of events, and `max_events` a number of them.

    Raises:
        TypeError, ValueError: say what is expected.
    """
    if not isinstance(events, tuple):
        raise TypeError(
            f"`{name}` expects `events` to be a tuple, got {type(events).__name__}. Write "
            "(ode.Event(condition),)."
        )
    for number, event in enumerate(events):
        if not isinstance(event, Event | PresetTimes):
            raise TypeError(
                f"`{name}` expects `events[{number}]` to be an `Event` or `PresetTimes`, got "
                f"{type(event).__name__}. Write ode.Event(condition)."
            )
    check_integer(name, "max_events", max_events, least=1)


def check_known_times(name: str, events: Sequence[Any]) -> None:
    """Raise for preset times that are traced.

    Raises:
        TypeError: says what to do.
    """
    if any(isinstance(event, PresetTimes) and event.is_traced for event in events):
        raise TypeError(
            f"`{name}` expects the `ts` of its `PresetTimes` to be known when the layer is built, "
            "got a traced array. Give a function of the parameters: "
            "ode.PresetTimes(lambda ps: ps.times, affect)."
        )
