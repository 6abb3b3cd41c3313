"""Dropout."""

from ._alpha_dropout import AlphaDropout as AlphaDropout
from ._dropout import Dropout as Dropout
from ._variational_hidden_dropout import VariationalHiddenDropout as VariationalHiddenDropout
