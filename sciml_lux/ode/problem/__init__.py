"""What is solved: the state at the start, the times, controls, and the first step."""

from ._interpolated import Interpolated as Interpolated
from ._phase import Phase as Phase
from ._problem import Problem as Problem
from ._step import Step as Step
