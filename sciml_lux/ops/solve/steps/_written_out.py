"""Whether the derivative of a step has its stages one by one in its program, and not in a loop.

That is faster, but there is more to compile, and the activations of all stages are in memory. It
pays where the stages are neither so small that compiling takes longer than thousands of calls save,
nor so large that their memory counts.
"""

import itertools
from typing import Any

from ....programs import INLINED, JaxprEqn, has_programs, primitive_name, walk
from ..._primitive import ClosedJaxpr
from ..tableaus._rosenbrock import Rosenbrock
from ..tableaus._tableau import Tableau

MOST_EQUATIONS = 128
LEAST_BYTES = 2**15
MOST_BYTES = 2**19


def is_written_out(field: ClosedJaxpr, tableau: Tableau) -> bool:
    """Whether all stages together have few equations, no loops, and results of middle size.

    Those of a Rosenbrock method have one matrix in common, and are always one by one.
    """
    if isinstance(tableau, Rosenbrock):
        return True
    stages = len(tableau.float64.p)
    most = MOST_EQUATIONS // stages
    visited = (visit.equation for visit in walk(field) if visit.equation is not None)
    equations = list(itertools.islice(filter(_counts, visited), most + 1))
    if len(equations) > most or any(map(has_programs, equations)):
        return False
    return LEAST_BYTES <= stages * sum(map(_size, equations)) <= MOST_BYTES


def _counts(equation: JaxprEqn) -> bool:
    return primitive_name(equation) not in INLINED


def _size(equation: JaxprEqn) -> int:
    """The bytes of its results."""
    types: list[Any] = [v.aval for v in equation.outvars]
    return sum(t.size * t.dtype.itemsize for t in types)
