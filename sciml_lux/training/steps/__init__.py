"""One training step, and many of them in one compiled loop."""

from ._ad import AutoEnzyme as AutoEnzyme
from ._ad import AutoFiniteDiff as AutoFiniteDiff
from ._ad import AutoForward as AutoForward
from ._ad import AutoForwardDiff as AutoForwardDiff
from ._ad import AutoMooncake as AutoMooncake
from ._ad import AutoReactant as AutoReactant
from ._ad import AutoReverse as AutoReverse
from ._ad import AutoReverseDiff as AutoReverseDiff
from ._ad import AutoTracker as AutoTracker
from ._ad import AutoZygote as AutoZygote
from ._apply_gradients import apply_gradients as apply_gradients
from ._compute_gradients import compute_gradients as compute_gradients
from ._single_train_step import single_train_step as single_train_step
from ._train_steps import train_steps as train_steps
