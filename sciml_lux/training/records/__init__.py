"""How far a fit has come: its losses, its result, its progress line and its pictures."""

from ._plot_losses import plot_losses as plot_losses
from ._run import FitResult as FitResult
from ._run import FitRun as FitRun
from ._run import Validation as Validation
