"""How far a fit has come: its losses, its result, its progress line and its pictures."""

from ._fit_result import FitResult as FitResult
from ._fit_run import FitRun as FitRun
from ._plot_losses import plot_losses as plot_losses
from ._validation import Validation as Validation
