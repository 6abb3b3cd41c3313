"""Where batches come from."""

from ._batches import Batches as Batches
from ._sampled import Sampled as Sampled
from ._source import Source as Source
from ._stream import Stream as Stream
