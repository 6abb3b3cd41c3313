"""`fit`, and what surrounds its steps: validation, checkpoints, resumption."""

from ._fit import fit as fit
from ._refusal import NonFiniteError as NonFiniteError
from ._refusal import NonFiniteWarning as NonFiniteWarning
