"""Training: states, steps, `fit`, checkpoints."""

from . import schedules as schedules
from ._ad import AutoReverse as AutoReverse
from ._checkpoint import Checkpoint as Checkpoint
from ._checkpoint import CheckpointError as CheckpointError
from ._checkpoint import load_checkpoint as load_checkpoint
from ._checkpoint import save_checkpoint as save_checkpoint
from ._fit import FitResult as FitResult
from ._fit import fit as fit
from ._optimizer_audit import OptimizerPrecisionWarning as OptimizerPrecisionWarning
from ._schedules import exact_schedule as exact_schedule
from ._schedules import multi_steps as multi_steps
from ._steps import apply_gradients as apply_gradients
from ._steps import compute_gradients as compute_gradients
from ._steps import single_train_step as single_train_step
from ._train_state import TrainState as TrainState
