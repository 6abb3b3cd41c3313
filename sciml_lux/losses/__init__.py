"""Loss functions, called as `loss(y_pred, y)` or `loss(model, ps, st, (x, y))`."""

from ._binary import BinaryCrossEntropyLoss as BinaryCrossEntropyLoss
from ._binary import BinaryFocalLoss as BinaryFocalLoss
from ._classes import ClassLoss as ClassLoss
from ._classes import CrossEntropyLoss as CrossEntropyLoss
from ._classes import FocalLoss as FocalLoss
from ._classes import KLDivergenceLoss as KLDivergenceLoss
from ._counts import MSLELoss as MSLELoss
from ._counts import PoissonLoss as PoissonLoss
from ._generic import GenericLossFunction as GenericLossFunction
from ._loss_function import LossFunction as LossFunction
from ._loss_function import mean as mean
from ._loss_function import total as total
from ._margins import DiceCoeffLoss as DiceCoeffLoss
from ._margins import HingeLoss as HingeLoss
from ._margins import SiameseContrastiveLoss as SiameseContrastiveLoss
from ._margins import SquaredHingeLoss as SquaredHingeLoss
from ._squared_error import HuberLoss as HuberLoss
from ._squared_error import L1Loss as L1Loss
from ._squared_error import L2Loss as L2Loss
from ._squared_error import MAELoss as MAELoss
from ._squared_error import MSELoss as MSELoss
