"""Derivatives that pass a program together with its values, by a rule for each primitive."""

from ._fallbacks import Fallback as Fallback
from ._fallbacks import fallbacks as fallbacks
