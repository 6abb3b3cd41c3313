"""Ensembles that the tests solve, and all of their kernels in one library."""

import functools
import re

from sciml_lux.ops.internal import Adaptive, Fixed, tableaus, with_fine_interpolant

from ...host import Kernels
from .ensemble import DOUBLE, Ensemble

ALONE = ("t0", "t1", "ts", "y0", "parameters", "steering")
NAN = float("nan")
END = -4.0 if DOUBLE else -1.5
"""Back in time the pendulum is pushed, and rounding grows."""

CASES = {
    "two blocks": Ensemble("lorenz", (0.2, 0.45, 0.6), number=130, shared=("t0", "ts", "steering")),
    "thinned, back in time": Ensemble(
        "pendulum",
        tuple(END * part for part in (0.1, 0.375, 0.5)),
        t1=END,
        shared=("t0", "t1", "y0", "steering"),
        capacity=4,
        max_steps=200 if DOUBLE else 16,
    ),
    "ends": Ensemble(
        "forced",
        (0.2, 0.4),
        number=5,
        shared=("t0", "ts", "steering"),
        max_steps=4000,
        y0=((1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (NAN, 0.0)),
        parameters=((0.5, 1.0), (NAN, 1.0), (3.0, 1.0), (0.1, 1e5), (0.5, 1.0)),
    ),
    "fixed, alone": Ensemble(
        "pendulum",
        (0.2, 0.5),
        number=1,
        shared=ALONE,
        control=Fixed(),
        dt0=0.07,
        tableau=tableaus.RK4,
    ),
}
SLOW = {
    "continued": Ensemble(
        "van-der-pol",
        (0.2, 0.5),
        control=Adaptive(p=0.4, i=0.3, d=0.1, grow=float("inf")),
        errors=(0.3, 0.5),
        dt0=0.1,
        shared=("t0", "t1", "ts"),
    ),
    "outside the norm": Ensemble("softmax", (0.3,), atol=(1.0, None, 0.1), shared=("t0", "y0")),
    "fine": Ensemble("pendulum", (0.2, 0.5), tableau=with_fine_interpolant(tableaus.DOPRI5)),
    "two estimates": Ensemble("pendulum", (0.2, 0.5), tableau=tableaus.DOPRI8),
    "high order": Ensemble(
        "fitzhugh-nagumo", (0.2,), t1=0.3, tableau=tableaus.VERN7, max_steps=1000, capacity=64
    ),
    "heun": Ensemble("fitzhugh-nagumo", t1=0.01, tableau=tableaus.HEUN, max_steps=4000, capacity=8),
    "euler": Ensemble("lotka-volterra", (0.3,), control=Fixed(), dt0=0.1, tableau=tableaus.EULER),
    "too many": Ensemble("pendulum", (0.2, 0.9), control=Fixed(), dt0=0.07, max_steps=6),
    "stages in a loop": Ensemble("pendulum", (0.2, 0.9), in_line=False),
    "no length": Ensemble("lorenz", (0.0, 0.0), t1=0.0),
    "saves in one step": Ensemble("lorenz", (0.0, 0.001, 0.0011, 0.0012, 1.0), t1=1.0),
}


def mutant(source, place):
    """A text with one number of the function `place` changed a little."""
    head, found, tail = source.text.partition(f"INLINE void {place}(")
    assert found, place

    def changed(match):
        number = float.fromhex(match[1]) * (1 + (1e-3 if match[2] else 1e-10))
        return f"({number.hex()}{match[2]})"

    body = re.sub(r"\((-?0x1\.[0-9a-f]+p[-+]\d+)(f?)\)", changed, tail, count=1)
    assert body != tail
    return source._replace(text=head + found + body)


@functools.cache
def kernels(name):
    """The kernels of one case of `SLOW`, or of all of `CASES`, with mutants."""
    if name in SLOW:
        sources = SLOW[name].sources()
        return Kernels({(name, way): source for way, source in sources.items()})
    sources = {(n, way): s for n, case in CASES.items() for way, s in case.sources().items()}
    for way, place in (("forward", "advance"), ("backward", "advance_back")):
        sources["fixed, alone", f"{way} mutant"] = mutant(sources["fixed, alone", way], place)
    return Kernels(sources)


@functools.cache
def found_by_kernel(name):
    """`Found` of a case."""
    case = {**CASES, **SLOW}[name]
    return case.solve(kernels(name if name in SLOW else ""), (name, "forward"))
