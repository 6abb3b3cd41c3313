"""The training state: its trees, its donation, and what in it must stay finite."""

from ._adjust import adjust as adjust
from ._donation import DonatedStateError as DonatedStateError
from ._train_state import TrainState as TrainState
