"""Events: the state changes, or a solve ends, where a condition is 0 or at times known before."""

from ._event import Event as Event
from ._event import PresetTimes as PresetTimes
