"""Methods of order 1 and 2.

Two stages give an interpolant of order 2 by themselves: b₂(θ) = θ² / (2 c₂), b₁(θ) = θ - b₂(θ).
"""

from ._coefficients import row, rows
from ._tableau import Interpolant, Tableau

EULER = Tableau(
    name="Euler",
    order=1,
    embedded_order=None,
    a=((),),
    b=row("1"),
    b_error=None,
    c=row("0"),
    fsal=False,
    interpolant=Interpolant(1, p=rows("1")),
)

HEUN = Tableau(
    name="Heun",
    order=2,
    embedded_order=1,
    a=((), row("1")),
    b=row("1/2 1/2"),
    b_error=row("-1/2 1/2"),
    c=row("0 1"),
    fsal=False,
    interpolant=Interpolant(2, p=(row("1 -1/2"), row("0 1/2"))),
)

MIDPOINT = Tableau(
    name="Midpoint",
    order=2,
    embedded_order=1,
    a=((), row("1/2")),
    b=row("0 1"),
    b_error=row("-1 1"),
    c=row("0 1/2"),
    fsal=False,
    interpolant=Interpolant(2, p=(row("1 -1"), row("0 1"))),
)

RALSTON = Tableau(
    name="Ralston",
    order=2,
    embedded_order=1,
    a=((), row("2/3")),
    b=row("1/4 3/4"),
    b_error=row("-3/4 3/4"),
    c=row("0 2/3"),
    fsal=False,
    interpolant=Interpolant(2, p=(row("1 -3/4"), row("0 3/4"))),
)
