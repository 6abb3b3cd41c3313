"""An interpolant of the order of the method, from one that is an order lower.

An interpolant an order lower is enough for the order of the whole solve. But where errors decay, in
a damped or a forced problem, its errors inside steps are many times those at their ends.

Source: Enright, Jackson, Nørsett and Thomsen, Interpolants for Runge-Kutta formulas, ACM
Transactions on Mathematical Software 12 (1986).
"""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from ._coefficients import Row
from ._tableau import Interpolant, Tableau


def with_fine_interpolant(tableau: Tableau) -> Tableau:
    """The same method with an interpolant of its own order, which takes more extra stages.

    The polynomial matches y and f at both ends of the step, and f at `fine_nodes`, where it is
    evaluated at the states of the interpolant of `tableau`. Without such nodes, `tableau` itself.
    """
    if not tableau.fine_nodes:
        return tableau
    a, c, end = _stages(tableau)
    total = tableau.num_stages + len(a)
    inside = range(total - len(tableau.fine_nodes), total)
    slopes = {
        Fraction(0): 0,
        Fraction(1): end,
        **dict(zip(tableau.fine_nodes, inside, strict=True)),
    }
    conditions = [_derivative(node, len(slopes) + 1) for node in slopes]
    data = [_unit(stage, total) for stage in slopes.values()]
    conditions.append((Fraction(1),) * (len(slopes) + 1))
    data.append((*tableau.b, *(Fraction(0),) * len(a)))
    p = tuple(zip(*_solve(conditions, data), strict=True))
    return replace(tableau, interpolant=Interpolant(tableau.order, p=p, a=a, c=c), fine_nodes=())


def _stages(tableau: Tableau) -> tuple[tuple[Row, ...], Row, int]:
    """The extra stages, their nodes, and the index of the stage f(t1, y1)."""
    coarse, nodes = tableau.interpolant, tableau.fine_nodes
    weights = [tuple(_value(line, node) for line in coarse.p) for node in nodes]
    a, c = list(coarse.a), [*coarse.c, *nodes]
    end = tableau.num_stages - 1
    if not tableau.fsal:
        end = tableau.num_stages + len(a)
        a.append((*tableau.b, *(Fraction(0),) * len(a)))
        c.insert(len(coarse.c), Fraction(1))
    for line in weights:
        room = tableau.num_stages + len(a) - len(line)
        a.append((*line, *(Fraction(0),) * room))
    return tuple(a), tuple(c), end


def _value(line: Row, theta: Fraction) -> Fraction:
    return sum((x * theta ** (j + 1) for j, x in enumerate(line)), Fraction(0))


def _derivative(theta: Fraction, degree: int) -> Row:
    """The slopes of θ, θ², ... at a point."""
    return tuple(j * theta ** (j - 1) for j in range(1, degree + 1))


def _unit(place: int, length: int) -> Row:
    return tuple(Fraction(int(i == place)) for i in range(length))


def _solve(matrix: Iterable[Row], right: Iterable[Row]) -> list[Row]:
    """X with matrix X = right, by exact elimination."""
    lines = [[*left, *values] for left, values in zip(matrix, right, strict=True)]
    for i in range(len(lines)):
        pivot = next(k for k in range(i, len(lines)) if lines[k][i])
        lines[i], lines[pivot] = lines[pivot], lines[i]
        lines[i] = [x / lines[i][i] for x in lines[i]]
        for k, line in enumerate(lines):
            if k != i:
                lines[k] = [x - line[i] * y for x, y in zip(line, lines[i], strict=True)]
    return [tuple(line[len(lines) :]) for line in lines]
