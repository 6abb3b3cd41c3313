"""The classical method of order 4, with its own continuous extension of order 3.

Source: Hairer, Nørsett and Wanner, Solving Ordinary Differential Equations I, II.1 and II.6.
"""

from ._coefficients import row, rows
from ._tableau import Interpolant, Tableau

RK4 = Tableau(
    name="RK4",
    order=4,
    embedded_order=None,
    a=((), row("1/2"), row("0 1/2"), row("0 0 1")),
    b=row("1/6 1/3 1/3 1/6"),
    b_error=None,
    c=row("0 1/2 1/2 1"),
    fsal=False,
    interpolant=Interpolant(
        3,
        p=rows("""
            1 -3/2  2/3
            0  1   -2/3
            0  1   -2/3
            0 -1/2  2/3
        """),
    ),
    fine_nodes=row("1/3"),
)
