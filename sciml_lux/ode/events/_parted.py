"""Events as functions, numbers and arrays, of which a compiled program takes each in its place."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..method._method import plain
from ._event import Event, PresetTimes

Form = tuple[tuple[Any, ...], ...]


def parted(events: Sequence[Event | PresetTimes]) -> tuple[list[Callable[..., Any]], Form]:
    """The functions of the events, and all else that a program depends on."""
    functions, form = [], []
    for event in events:
        if isinstance(event, Event):
            own = [event.condition, event.affect]
            form.append((Event, event.affect is not None, event.direction, event.terminal))
        else:
            ts = plain(event.ts)
            own = [event.affect, ts if callable(ts) else None]
            form.append((PresetTimes, callable(ts)))
        functions += [function for function in own if function is not None]
    return functions, tuple(form)


def preset_data(events: Sequence[Event | PresetTimes]) -> tuple[Any, ...]:
    """The preset times that are not functions, each an array."""
    times = [plain(event.ts) for event in events if isinstance(event, PresetTimes)]
    known = [ts for ts in times if not callable(ts)]
    return tuple(np.asarray(ts) if isinstance(ts, tuple) else ts for ts in known)


def joined(
    functions: Sequence[Callable[..., Any]], form: Form, data: Sequence[Any]
) -> tuple[Event | PresetTimes, ...]:
    """The events of these functions, form and preset times."""
    functions, data, events = list(functions), list(data), []
    for kind, has_more, *options in form:
        first = functions.pop(0)
        second = functions.pop(0) if has_more else None
        if kind is Event:
            events.append(Event(first, second, *options))
        else:
            events.append(PresetTimes(data.pop(0) if second is None else second, first))
    return tuple(events)
