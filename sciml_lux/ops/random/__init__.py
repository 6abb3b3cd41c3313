"""Dropout: functions that draw."""

from ._alpha_dropout import alpha_dropout as alpha_dropout
from ._dropout import dropout as dropout
