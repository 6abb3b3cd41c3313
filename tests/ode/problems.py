"""Initial-value problems that solvers are judged by, with their published end states.

Each field is plain arithmetic on the components, for NumPy and JAX alike: SciPy solves the same
function. Sources: the stiff ones and Pleiades from Mazzia and Magherini, Test Set for Initial Value
Problem Solvers (2008), with its reference solutions; Arenstorf's orbit, the Brusselator and the
three-component OREGO from Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I and
II. Of E5 the published digits at 1e13 are wrong, so that it ends earlier here. Where `want` is None
nothing is published, and a solve at the finest tolerance is the reference.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sciml_lux import ode


class Problem(NamedTuple):
    """du/dt = field(t, u), u(0) = u0; `want` is u(t1). `field` returns parts to be joined."""

    field: Callable
    u0: tuple
    t1: float
    atol: float = 1.0  # In units of rtol: how small a component is that still counts.
    want: tuple | None = None
    stiff: bool = False


class Flow(ode.ODELayer):
    """The solve of a field without parameters."""

    field: Callable
    tspan: tuple[float, float]

    def vector_field(self, ps, st):
        return lambda t, u: jnp.concatenate([jnp.atleast_1d(part) for part in self.field(t, u)])


def numpy_field(problem):
    """(t, u) -> du/dt in NumPy, and its Jacobian."""
    joined = lambda t, u: jnp.concatenate([jnp.atleast_1d(p) for p in problem.field(t, u)])
    jacobian = jax.jit(jax.jacfwd(joined, 1))
    return (
        lambda t, u: np.concatenate([np.atleast_1d(part) for part in problem.field(t, u)]),
        lambda t, u: np.asarray(jacobian(t, u)),
    )


def robertson(t, u):
    slow, fast, quadratic = 0.04 * u[0], 1e4 * u[1] * u[2], 3e7 * u[1] * u[1]
    return fast - slow, slow - fast - quadratic, quadratic


def van_der_pol(mu):
    return lambda t, u: (u[1], mu * (1 - u[0] * u[0]) * u[1] - u[0])


def singular_van_der_pol(epsilon):
    return lambda t, u: (u[1], ((1 - u[0] * u[0]) * u[1] - u[0]) / epsilon)


def hires(t, u):
    pair = 280 * u[5] * u[7]
    return (
        -1.71 * u[0] + 0.43 * u[1] + 8.32 * u[2] + 0.0007,
        1.71 * u[0] - 8.75 * u[1],
        -10.03 * u[2] + 0.43 * u[3] + 0.035 * u[4],
        8.32 * u[1] + 1.71 * u[2] - 1.12 * u[3],
        -1.745 * u[4] + 0.43 * u[5] + 0.43 * u[6],
        -pair + 0.69 * u[3] + 1.71 * u[4] - 0.43 * u[5] + 0.69 * u[6],
        pair - 1.81 * u[6],
        1.81 * u[6] - pair,
    )


# POLLUTION: the rate of each of the 25 reactions; the species that react, from 1; and for each
# species the reactions that make it and, negative, those that consume it. What counts double is
# there twice.
_RATES = (
    0.35, 26.6, 1.23e4, 8.6e-4, 8.2e-4, 1.5e4, 1.3e-4, 2.4e4, 1.65e4, 9e3, 0.022, 1.2e4, 1.88,
    1.63e4, 4.8e6, 3.5e-4, 0.0175, 1e8, 4.44e11, 1240.0, 2.1, 5.78, 0.0474, 1780.0, 3.12,
)  # fmt: skip
_SPECIES = (
    (1,), (2, 4), (5, 2), (7,), (7,), (7, 6), (9,), (9, 6), (11, 2), (11, 1), (13,), (10, 2), (14,),
    (1, 6), (3,), (4,), (4,), (16,), (16,), (17, 6), (19,), (19,), (1, 4), (19, 1), (20,),
)  # fmt: skip
_CHANGES = (
    (-1, -10, -14, -23, -24, 2, 3, 9, 11, 12, 22, 25), (-2, -3, -9, -12, 1, 21),
    (-15, 1, 17, 19, 22), (-2, -16, -17, -23, 15), (-3, 4, 4, 6, 7, 13, 20),
    (-6, -8, -14, -20, 3, 18, 18), (-4, -5, -6, 13), (4, 5, 6, 7), (-7, -8), (-12, 7, 9),
    (-9, -10, 8, 11), (9,), (-11, 10), (-13, 12), (14,), (-18, -19, 16), (-20,), (20,),
    (-21, -22, -24, 23, 25), (-25, 24),
)  # fmt: skip


def pollution(t, u):
    reactions = [
        rate * math.prod(u[n - 1] for n in species)
        for rate, species in zip(_RATES, _SPECIES, strict=True)
    ]
    return [sum(math.copysign(1, n) * reactions[abs(n) - 1] for n in change) for change in _CHANGES]


def pleiades(t, u):
    """Seven stars in a plane: x, y, and their velocities."""
    x, y = u[:7], u[7:14]
    masses = np.arange(1.0, 8.0)
    dx, dy = x[None] - x[:, None], y[None] - y[:, None]
    pull = masses * (1 - np.eye(7)) / (dx * dx + dy * dy + np.eye(7)) ** 1.5
    return u[14:], (pull * dx).sum(1), (pull * dy).sum(1)


def orego(t, u):
    """The Oregonator, three components."""
    return (
        77.27 * (u[1] + u[0] * (1 - 8.375e-6 * u[0] - u[1])),
        (u[2] - (1 + u[0]) * u[1]) / 77.27,
        0.161 * (u[0] - u[2]),
    )


def e5(t, u):
    """A reaction of six orders of magnitude of rates, and 22 of sizes of its components.

    The third component is the second less the fourth: in an equation of its own, rounding costs
    three digits.
    """
    third = u[1] - u[2]
    a, b, c = 7.89e-10 * u[0], 1.1e7 * u[0] * third, 1.13e9 * u[1] * third
    return -a - b, a - c, b - 1.13e3 * u[2]


def arenstorf(t, u):
    """A satellite of the earth and the moon."""
    mu = 0.012277471
    x, y, vx, vy = u[0], u[1], u[2], u[3]
    earth, moon = ((x + mu) ** 2 + y * y) ** 1.5, ((x - 1 + mu) ** 2 + y * y) ** 1.5
    ax = x + 2 * vy - (1 - mu) * (x + mu) / earth - mu * (x - 1 + mu) / moon
    return vx, vy, ax, y - 2 * vx - (1 - mu) * y / earth - mu * y / moon


def lorenz(t, u):
    return 10 * (u[1] - u[0]), u[0] * (28 - u[2]) - u[1], u[0] * u[1] - 8 / 3 * u[2]


def brusselator(t, u):
    square = u[0] * u[0] * u[1]
    return 1 + square - 4 * u[0], 3 * u[0] - square


_HIRES = (0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4,
          0.1175651343283149e-2, 0.2386356198831331e-2, 0.6238968252742796e-2,
          0.2849998395185769e-2, 0.2850001604814231e-2)  # fmt: skip
_POLLUTION = (0.5646255480022769e-1, 0.1342484130422339, 0.4139734331099427e-8,
              0.5523140207484359e-2, 0.2018977262302196e-6, 0.1464541863493966e-6,
              0.7784249118997964e-1, 0.3245075353396018, 0.7494013383880406e-2,
              0.1622293157301561e-7, 0.1135863833257075e-7, 0.2230505975721359e-2,
              0.2087162882798630e-3, 0.1396921016840158e-4, 0.8964884856898295e-2,
              0.4352846369330103e-17, 0.6899219696263405e-2, 0.1007803037365946e-3,
              0.1772146513969984e-5, 0.5682943292316392e-4)  # fmt: skip
_POLLUTED = (0, 0.2, 0, 0.04, 0, 0, 0.1, 0.3, 0.01, 0, 0, 0, 0, 0, 0, 0, 0.007, 0, 0, 0)
_STARS = (3, 3, -1, -3, 2, -2, 2, 3, -3, 2, 0, 0, -4, 4,
          0, 0, 0, 0, 0, 1.75, -1.5, 0, 0, 0, -1.25, 1, 0, 0)  # fmt: skip
_PLEIADES = (0.3706139143970502, 3.237284092057233, -3.222559032418324, 0.6597091455775310,
             0.3425581707156584, 1.562172101400631, -0.7003092922212495, -3.943437585517392,
             -3.271380973972550, 5.225081843456543, -2.590612434977470, 1.198213693392275,
             -0.2429682344935824, 1.091449240428980, 3.417003806314313, 1.354584501625501,
             -2.590065597810775, 2.025053734714242, -1.155815100160448, -0.8072988170223021,
             0.5952396354208710, -3.741244961234010, 0.3773459685750630, 0.9386858869551073,
             0.3667922227200571, -0.3474046353808490, 2.344915448180937,
             -1.947020434263292)  # fmt: skip
_PERIOD, _ORBIT = 17.0652165601579625588917206249, (0.994, 0, 0, -2.00158510637908252240537862224)

PROBLEMS = {
    "Robertson": Problem(robertson, (1, 0, 0), 1e11, 1e-8, (
        0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050), True),
    "Van der Pol, mu = 1": Problem(van_der_pol(1.0), (2, 0), 20.0),
    "Van der Pol, mu = 10": Problem(van_der_pol(10.0), (2, 0), 20.0),
    "Van der Pol, mu = 1000": Problem(van_der_pol(1e3), (2, 0), 2000.0, 1.0, (
        1.706167732170483, -0.8928097010247975e-3), True),
    "Van der Pol, epsilon = 1e-6": Problem(singular_van_der_pol(1e-6), (2, 0), 2.0, 1.0, (
        1.706167732170483, -0.8928097010247975), True),
    "HIRES": Problem(hires, (1, 0, 0, 0, 0, 0, 0, 0.0057), 321.8122, 1e-3, _HIRES, True),
    "Pollution": Problem(pollution, _POLLUTED, 60.0, 1e-3, _POLLUTION, True),
    "Pleiades": Problem(pleiades, _STARS, 3.0, 1.0, _PLEIADES),
    "OREGO": Problem(orego, (1, 2, 3), 360.0, 1.0, (
        1.000814870318523, 1228.178521549917, 132.0554942846706), True),
    "E5": Problem(e5, (1.76e-3, 0, 0), 1e5, 1e-10, None, True),
    "Arenstorf": Problem(arenstorf, _ORBIT, _PERIOD, 1.0, _ORBIT),
    "Lorenz": Problem(lorenz, (1, 1, 1), 5.0),
    "Brusselator": Problem(brusselator, (1.5, 3), 20.0),
}  # fmt: skip
