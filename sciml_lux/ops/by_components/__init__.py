"""A function of arrays as scalar operations on its components."""

from ._by_components import by_components as by_components
from ._by_components import why_not_by_components as why_not_by_components
from ._emitter import Emitter as Emitter
from ._emitter import Operation as Operation
from ._emitter import vectors as vectors
from ._refusal import Refusal as Refusal
