"""What a solve returns."""

from ._events import Events as Events
from ._final import Final as Final
from ._plot_solution import plot_solution as plot_solution
from ._results import RESULTS as RESULTS
from ._solution import Solution as Solution
