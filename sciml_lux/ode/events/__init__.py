"""Events: where a condition reaches 0, or at times known before, the state changes or a solve ends."""

from ._event import Event as Event
from ._event import PresetTimes as PresetTimes
