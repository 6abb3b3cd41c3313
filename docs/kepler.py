"""The picture of docs/second_order.md: the energy of a Kepler orbit over ten thousand periods.

`python docs/kepler.py` draws it and prints the table of the page; `tests/test_kepler.py` checks the
rows of the symplectic methods.
"""

from pathlib import Path
from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from sciml_lux import ode

PICTURE = Path(__file__).parent / "kepler.png"
PERIODS, ECCENTRICITY = 10_000, 0.6
SYMPLECTIC = {
    "Leapfrog": ode.Method(solver=ode.Leapfrog(), dt0=2 * np.pi / 504, max_steps=10**8),
    "Yoshida4": ode.Method(solver=ode.Yoshida4(), dt0=2 * np.pi / 168, max_steps=10**8),
    "Yoshida6": ode.Method(solver=ode.Yoshida6(), dt0=2 * np.pi / 72, max_steps=10**8),
}
OTHER = {"Tsit5": ode.Method(solver=diffrax.Tsit5(), rtol=3e-8, atol=3e-8, max_steps=10**8)}


class Row(NamedTuple):
    """Of a method, what the page tells.

    Attributes:
        name: of the method.
        cost: evaluations of the force in a period.
        first: the largest relative error of the energy in the first hundredth of the time.
        last: the same, in the last hundredth.
        errors: those at all times of the picture.
    """

    name: str
    cost: float
    first: float
    last: float
    errors: np.ndarray


@ode.second_order
def attraction(t, q, args):
    """Towards a body at 0, of mass 1."""
    return -q / jnp.sum(q * q) ** 1.5


def energy(u):
    """Of states with components last."""
    kinetic = jnp.sum(jnp.square(u.p), -1) / 2
    return kinetic - 1 / jnp.sqrt(jnp.sum(jnp.square(u.q), -1))


def rows(methods):
    """The errors of methods at two times in each period, in turn at all phases."""
    fastest = np.sqrt((1 + ECCENTRICITY) / (1 - ECCENTRICITY))
    start = ode.Phase(q=jnp.array([1 - ECCENTRICITY, 0.0]), p=jnp.array([0.0, fastest]))
    times = np.linspace(0, PERIODS * 2 * np.pi, 2 * PERIODS + PERIODS // 50 + 1)
    found = []
    for name, method in methods.items():
        solution = ode.solve(attraction, ode.Problem(start, ts=times), method=method)
        errors = np.abs(energy(solution.ys) / energy(start) - 1)
        ends = np.array_split(errors, 100)
        cost = int(solution.stats.num_field_evaluations) / PERIODS
        found.append(Row(name, cost, float(ends[0].max()), float(ends[-1].max()), errors))
    return found


def table(found):
    """The rows of the page's table."""
    return [f"| `{r.name}` | {r.cost:.0f} | {r.first:.0e} | {r.last:.0e} |" for r in found]


def main():
    """Draw the picture, and print the table."""
    jax.config.update("jax_enable_x64", True)
    found = rows(SYMPLECTIC | OTHER)
    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for row in found:
        windows = np.array_split(row.errors, 200)
        at = (np.arange(200) + 0.5) * PERIODS / 200
        axes.semilogy(at, [window.max() for window in windows], label=row.name)
    axes.set(xlabel="periods", ylabel="relative error of the energy")
    axes.legend()
    figure.savefig(PICTURE, dpi=100)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
