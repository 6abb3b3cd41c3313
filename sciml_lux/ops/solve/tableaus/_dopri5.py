"""The pair of orders 5 and 4 by Dormand and Prince, with Shampine's interpolant of order 4.

Source: Dormand and Prince, A family of embedded Runge-Kutta formulae, Journal of Computational and
Applied Mathematics 6 (1980); Shampine, Some practical Runge-Kutta formulas, Mathematics of
Computation 46 (1986).
"""

from ._coefficients import minus, row, rows
from ._tableau import Interpolant, Tableau

_B = row("35/384 0 500/1113 125/192 -2187/6784 11/84 0")

DOPRI5 = Tableau(
    name="Dopri5",
    order=5,
    embedded_order=4,
    a=(
        (),
        row("1/5"),
        row("3/40 9/40"),
        row("44/45 -56/15 32/9"),
        row("19372/6561 -25360/2187 64448/6561 -212/729"),
        row("9017/3168 -355/33 46732/5247 49/176 -5103/18656"),
        _B[:6],
    ),
    b=_B,
    b_error=minus(_B, row("5179/57600 0 7571/16695 393/640 -92097/339200 187/2100 1/40")),
    c=row("0 1/5 3/10 4/5 8/9 1 1"),
    fsal=True,
    interpolant=Interpolant(
        4,
        p=rows("""
            1 -8048581381/2820520608 8663915743/2820520608 -12715105075/11282082432
            0 0 0 0
            0 131558114200/32700410799 -68118460800/10900136933 87487479700/32700410799
            0 -1754552775/470086768 14199869525/1410260304 -10690763975/1880347072
            0 127303824393/49829197408 -318862633887/49829197408 701980252875/199316789632
            0 -282668133/205662961 2019193451/616988883 -1453857185/822651844
            0 40617522/29380423 -110615467/29380423 69997945/29380423
        """),
    ),
    fine_nodes=row("1/5 1/2"),
)
