"""Layers and models made of others: frozen, tied, mapped, watched, in another precision."""

from ._alternate_precision import AlternatePrecision as AlternatePrecision
from ._debug_mode import DebugLayer as DebugLayer
from ._debug_mode import debug_mode as debug_mode
from ._freeze import FrozenLayer as FrozenLayer
from ._freeze import freeze as freeze
from ._freeze import unfreeze as unfreeze
from ._layer_map import layer_map as layer_map
from ._parameter_mask import parameter_mask as parameter_mask
from ._tie import TiedLayer as TiedLayer
from ._tie import share_parameters as share_parameters
from ._tie import tie as tie
