"""What runs between the steps of a fit."""

from ._callback import Callback as Callback
from ._csv_log import CSVLog as CSVLog
from ._early_stopping import EarlyStopping as EarlyStopping
from ._logger import Logger as Logger
from ._logger import LogTo as LogTo
