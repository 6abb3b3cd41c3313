"""Every public layer, op and loss, a line each, by family. The generic tests run over it.

A family is a module with `LAYERS`, `OPS` or `SOLVES`; `ANY_SHAPE` names the layers in it that take
an input of any shape, and `NOT_OF_ARRAYS` the public functions of `ops` that are no function from
arrays to arrays, which have behaviour tests only.
"""

from . import (
    _activations,
    _attention,
    _basic,
    _containers,
    _convolution,
    _dropout,
    _embeddings,
    _normalization,
    _recurrent,
    _science,
    _solves,
    _transformations,
)
from ._entry import DTYPES as DTYPES
from ._entry import Indices as Indices
from ._entry import LayerEntry as LayerEntry
from ._entry import OpEntry as OpEntry
from ._entry import example_input as example_input
from ._entry import split_floats as split_floats
from ._entry import with_empty_batch as with_empty_batch
from ._losses import LOSSES as LOSSES

_FAMILIES = (
    _containers,
    _basic,
    _embeddings,
    _convolution,
    _normalization,
    _dropout,
    _recurrent,
    _attention,
    _science,
    _transformations,
    _activations,
    _solves,
)


def _all(name):
    return [entry for family in _FAMILIES for entry in getattr(family, name, ())]


LAYERS: list[LayerEntry] = _all("LAYERS")
SOLVES: list[LayerEntry] = _all("SOLVES")
OPS: list[OpEntry] = _all("OPS")
ACTIVATIONS: list[OpEntry] = _activations.OPS
ANY_SHAPE: set[str] = set(_all("ANY_SHAPE"))
NOT_OF_ARRAYS: set[str] = set(_all("NOT_OF_ARRAYS"))
