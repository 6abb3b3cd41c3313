"""The pair of orders 3 and 2 by Bogacki and Shampine, with the cubic Hermite interpolant.

Source: Bogacki and Shampine, A 3(2) pair of Runge-Kutta formulas, Applied Mathematics Letters 2
(1989).
"""

from ._coefficients import minus, row, rows
from ._tableau import Interpolant, Tableau

_B = row("2/9 1/3 4/9 0")

BOSH3 = Tableau(
    name="Bosh3",
    order=3,
    embedded_order=2,
    a=((), row("1/2"), row("0 3/4"), _B[:3]),
    b=_B,
    b_error=minus(_B, row("7/24 1/4 1/3 1/8")),
    c=row("0 1/2 3/4 1"),
    fsal=True,
    interpolant=Interpolant(
        3,
        p=rows("""
            1 -4/3  5/9
            0  1   -2/3
            0  4/3 -8/9
            0 -1    1
        """),
    ),
)
