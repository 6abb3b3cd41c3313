"""A function of arrays as scalar operations on its components."""

from ._by_components import by_components as by_components
from ._by_components import why_not_by_components as why_not_by_components
from ._emitter import Emitter as Emitter
from ._emitter import Operation as Operation
from ._emitter import vectors as vectors
from ._literals import C_TYPES as C_TYPES
from ._literals import literal as literal
from ._refusal import Refusal as Refusal
from ._text import Array as Array
from ._text import Text as Text
from ._text import c_function as c_function
