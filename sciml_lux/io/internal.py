"""What other packages of the library need of `io`, and users do not."""

from ._checkpoint import checkpoint_file as checkpoint_file
from ._checkpoint_format import require_checkpoint_file as require_checkpoint_file
from ._quoted import quoted as quoted
from ._types import JSON as JSON
from ._write_whole import write_whole as write_whole
