"""What surrounds an optax optimiser: loss scaling, averages, and an audit of its program."""

from ._average import with_average as with_average
from ._loss_scale import with_loss_scale as with_loss_scale
from ._optimizer_audit import OptimizerPrecisionWarning as OptimizerPrecisionWarning
