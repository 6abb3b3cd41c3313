"""Loss functions, called as `loss(y_pred, y)` or `loss(model, ps, st, (x, y))`."""

from ._loss_function import LossFunction as LossFunction
from ._loss_function import mean as mean
from ._loss_function import total as total
from ._squared_error import L2Loss as L2Loss
from ._squared_error import MSELoss as MSELoss
