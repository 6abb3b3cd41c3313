"""Measures every adjoint and writes docs/gradients.json and, from it, docs/gradients.md.

`python scripts/gradients_page.py` takes about ten minutes, and measures what is not in the file:
delete it to begin anew. `--page` writes the page alone.
"""

import argparse
import json
import os
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from sciml_lux import ode

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PAGE = DOCS / "gradients.json", DOCS / "gradients.md"
CALLS = 20


class Setting(NamedTuple):
    """A problem whose loss is the sum of its states, or a part of them, at the wanted times.

    Attributes:
        field: du/dt of t, u and args.
        u0: the initial state.
        times: wanted; the first is t0.
        args: what the loss is differentiated by.
        atol: absolute tolerance in units of rtol.
        stiff: whether the solvers are diffrax's implicit ones.
        tolerances: relative ones that are tried.
        counted: how many components are in the loss; None for all.
    """

    field: Callable[..., jax.Array]
    u0: tuple[float, ...]
    times: tuple[float, ...]
    args: Any
    atol: float = 1.0
    stiff: bool = False
    tolerances: tuple[float, ...] = (1e-6,)
    counted: int | None = None

    def problem(self) -> ode.Problem:
        """What is solved."""
        return ode.Problem(jnp.asarray(self.u0), ts=jnp.asarray(self.times))

    def loss(self, method: ode.Method) -> Callable[[Any], jax.Array]:
        """The sum of the states, of the arguments."""
        problem = self.problem()

        def total(args: Any) -> jax.Array:
            ys = ode.solve(self.field, problem, args, method=method).ys
            return jnp.sum(ys[:, : self.counted])

        return total


def lotka_volterra(t: jax.Array, u: jax.Array, p: jax.Array) -> jax.Array:
    """Prey and predators."""
    return jnp.stack([p[0] * u[0] - p[1] * u[0] * u[1], p[3] * u[0] * u[1] - p[2] * u[1]])


def network(t: jax.Array, u: jax.Array, p: Any) -> jax.Array:
    """A network 2-8-2 with tanh."""
    (w1, b1), (w2, b2) = p
    return w2 @ jnp.tanh(w1 @ u + b1) + b2


def robertson(t: jax.Array, u: jax.Array, p: jax.Array) -> jax.Array:
    """A reaction whose rates differ by nine orders of magnitude."""
    slow, back, fast = p[0] * u[0], p[1] * u[1] * u[2], p[2] * u[1] ** 2
    return jnp.stack([back - slow, slow - back - fast, fast])


def lorenz(t: jax.Array, u: jax.Array, p: jax.Array) -> jax.Array:
    """Convection, chaotic."""
    return jnp.stack([p[0] * (u[1] - u[0]), u[0] * (p[1] - u[2]) - u[1], u[0] * u[1] - p[2] * u[2]])


def evenly(end: float, count: int) -> tuple[float, ...]:
    """Times from 0 to `end`."""
    return tuple(end * i / (count - 1) for i in range(count))


def weights() -> Any:
    """Those of the network, drawn once."""
    rng = np.random.default_rng(1)
    shapes = ((8, 2), (8,)), ((2, 8), (2,))
    return tuple(tuple(jnp.asarray(rng.normal(size=s) / 2) for s in pair) for pair in shapes)


def settings() -> dict[str, Setting]:
    """The problems by name."""
    rates = jnp.asarray([1.5, 1.0, 3.0, 1.0])
    reactions = jnp.asarray([0.04, 1e4, 3e7])
    convection = jnp.asarray([10.0, 28.0, 8 / 3])
    return {
        "Lotka-Volterra": Setting(
            lotka_volterra, (1.0, 1.0), evenly(10.0, 101), rates, tolerances=(1e-3, 1e-6, 1e-9)
        ),
        "Neural ODE 2-8-2": Setting(network, (1.0, -0.5), evenly(1.5, 30), weights()),
        "Lorenz": Setting(lorenz, (1.0, 1.0, 1.0), evenly(5.0, 6), convection),
        "Robertson": Setting(
            robertson, (1.0, 0.0, 0.0), (0.0, 1.0, 10.0, 100.0), reactions, 1e-6, True, counted=1
        ),
    }


NEWTON = diffrax.with_stepsize_controller_tols(optimistix.Newton)(cauchy_termination=False)
SOLVERS = {
    "Tsit5": diffrax.Tsit5(),
    "Vern9": ode.Vern9(),
    "Kvaerno5": diffrax.Kvaerno5(root_finder=NEWTON),
}
ADJOINTS = {
    "DiscreteAdjoint": ode.DiscreteAdjoint(),
    "InterpolatingAdjoint": ode.InterpolatingAdjoint(),
    "GaussAdjoint": ode.GaussAdjoint(),
    "BacksolveAdjoint": ode.BacksolveAdjoint(),
    "ReversibleAdjoint": ode.ReversibleAdjoint(),
    "ForwardSensitivity": ode.ForwardSensitivity(),
    "ForwardSensitivity(control_error=True)": ode.ForwardSensitivity(control_error=True),
    "diffrax.RecursiveCheckpointAdjoint": diffrax.RecursiveCheckpointAdjoint(),
}
THEIRS = {name: value for name, value in ADJOINTS.items() if name.startswith("diffrax")}


def measured(setting: Setting, solver: Any, adjoint: Any, tolerance: float, best: Any) -> dict:
    """Error, times, memory and evaluations of one gradient."""
    method = ode.Method(
        solver=solver,
        adjoint=adjoint,
        rtol=tolerance,
        atol=tolerance * setting.atol,
        throw=False,
    )
    gradient = jax.jit(jax.grad(setting.loss(method)))
    begin = time.perf_counter()
    found = jax.block_until_ready(gradient(setting.args))
    compiling = time.perf_counter() - begin
    cost = ode.adjoint_cost(setting.field, setting.problem(), setting.args, method=method)
    return {
        "error": error(found, best),
        "first_call_s": round(compiling, 2),
        "warm_ms": round(1e3 * min(timed(gradient, setting.args) for _ in range(CALLS)), 3),
        "memory_bytes": cost.memory,
        "solve_evaluations": cost.solve_evaluations,
        "evaluations": cost.evaluations,
    }


def timed(gradient: Callable[[Any], Any], args: Any) -> float:
    """Seconds of a call."""
    begin = time.perf_counter()
    jax.block_until_ready(gradient(args))
    return time.perf_counter() - begin


def error(found: Any, best: Any) -> float:
    """The largest relative error of a number; of the network's, relative to its largest."""
    errors = []
    for leaf, want in zip(jax.tree.leaves(found), jax.tree.leaves(best), strict=True):
        scale = np.abs(want) if len(jax.tree.leaves(best)) == 1 else np.max(np.abs(want))
        errors.append(np.max(np.abs(np.asarray(leaf) - np.asarray(want)) / scale))
    return float(np.max(errors))


def reference(setting: Setting) -> Any:
    """The gradient by the finest steps."""
    solver = SOLVERS["Kvaerno5" if setting.stiff else "Vern9"]
    tolerance = 1e-11 if setting.stiff else 1e-13
    method = ode.Method(
        solver=solver, rtol=tolerance, atol=tolerance * setting.atol, max_steps=2**14
    )
    return jax.jit(jax.grad(setting.loss(method)))(setting.args)


def measure_all() -> None:
    """Measure what is not in the file yet, row by row, so that a run can go on where one ended."""
    document = {
        "device": jax.devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)),
        "jax": jax.__version__,
        "diffrax": diffrax.__version__,
        "rows": json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else [],
    }
    names = ("problem", "solver", "adjoint", "rtol")
    known = {tuple(row[name] for name in names) for row in document["rows"]}
    references: dict[str, Any] = {}
    # diffrax's last: they compile longest.
    for name, adjoint in sorted(ADJOINTS.items(), key=lambda item: item[0] in THEIRS):
        for problem, setting in settings().items():
            for solver, tolerance in cells(setting, name):
                if (problem, solver, name, tolerance) in known:
                    continue
                if problem not in references:
                    references[problem] = reference(setting)
                best = references[problem]
                row = dict(zip(names, (problem, solver, name, tolerance), strict=True))
                row |= measured(setting, SOLVERS[solver], adjoint, tolerance, best)
                print(row, flush=True)
                document["rows"].append(row)
                RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def cells(setting: Setting, adjoint: str) -> list[tuple[str, float]]:
    """Solver and tolerance of each row of an adjoint."""
    if setting.stiff and adjoint not in THEIRS:
        return []
    return [("Kvaerno5" if setting.stiff else "Tsit5", rtol) for rtol in setting.tolerances]


def page(document: dict) -> str:
    """The page of the numbers."""
    parts = [INTRODUCTION.format(**document)]
    header = (
        "| solver | adjoint | rtol | error | warm, ms | first call, s | memory, kB "
        "| evaluations: solve | gradient |"
    )
    for name in dict.fromkeys(row["problem"] for row in document["rows"]):
        parts.append(f"## {name}\n\n{textwrap.fill(NOTES[name], 100)}\n\n{header}\n|{'---|' * 9}")
        own = [row for row in document["rows"] if row["problem"] == name]
        parts[-1] += "".join("\n" + line(row) for row in own)
    return "\n\n".join([*parts, CLOSING]) + "\n"


def line(row: dict) -> str:
    """A row of the table."""
    failed = not np.isfinite(row["error"])
    cells = (
        row["solver"],
        f"`{row['adjoint']}`",
        f"{row['rtol']:.0e}",
        "failed" if failed else f"{row['error']:.1e}",
        f"{row['warm_ms']:.2f}",
        f"{row['first_call_s']:.1f}",
        f"{row['memory_bytes'] / 1e3:.0f}",
        str(row["solve_evaluations"]),
        str(row["evaluations"]),
    )
    return f"| {' | '.join(cells)} |"


INTRODUCTION = """# Gradients of solves: every adjoint, with its error and its cost

Made by `scripts/gradients_page.py` ({device}, {cores} cores that were busy with other work, so that
times only say which of two is much longer; jax {jax}, diffrax {diffrax}). The loss is the sum of
the states at the wanted times. The error is the largest relative error of a number of the gradient,
against the discrete adjoint of a solve with the finest steps. "Memory" is what the compiled
gradient asks for beside its arguments and results, and "evaluations" are those of the field, in the
solve alone and in the solve with its gradient: see `ode.adjoint_cost`. The first call includes
compiling.

| adjoint | the gradient is that of | memory grows with | best for |
|---|---|---|---|
| `DiscreteAdjoint` (None) | the steps that were taken | 128 states at most, or 128 KiB | all else |
| `InterpolatingAdjoint` | the equation | `max_steps` states | a gradient to the tolerance |
| `GaussAdjoint` | the equation | `max_steps` states | the same with many parameters |
| `BacksolveAdjoint` | the equation | nothing | short ways that are not stiff |
| `ReversibleAdjoint` | its own steps | the lengths of steps | large states, many steps |
| `ForwardSensitivity` | the steps that were taken | numbers that move | few numbers |
| `SteadyStateAdjoint` | the root of the field | nothing | solves to a steady state |

**What is not differentiated**: the lengths of steps. They depend on the state and the parameters,
and all adjoints hold them fixed; a loss that reads the times of adaptive steps has no gradient.
Steps are chosen by the error of the state alone, so that at loose tolerances the error of a
gradient may be much larger than that of the solution; `ForwardSensitivity(control_error=True)`
holds the errors of the derivatives to the tolerance as well.

`adjoint="auto"` chooses by what is known before the solve: see `ode.AutoAdjoint`."""

NOTES = {
    "Lotka-Volterra": "Rates 1.5, 1, 3, 1 from (1, 1), 101 states from 0 to 10. The gradient is "
    "8.30536266, -159.48429272, 75.20350821, -339.19509277: at rtol=1e-9 each number is met to "
    "1e-6, by `ReversibleAdjoint` to 1e-4.",
    "Neural ODE 2-8-2": "42 weights, 30 states from 0 to 1.5.",
    "Lorenz": "From (1, 1, 1), 6 states from 0 to 5. On longer ways gradients grow without bound: "
    "the equation is chaotic, and no adjoint changes that. Solved backwards from a wanted time the "
    "state is lost: the gradient of `BacksolveAdjoint` is wrong, and `ReversibleAdjoint` finds "
    "that its way back misses the start, and has none.",
    "Robertson": "Three rates, the first component at 0, 1, 10 and 100, by Newton's method as in "
    "[stiff.md](stiff.md). The lean engine has no implicit methods, so that diffrax's adjoint is "
    "the one there is; the absolute tolerance is 1e-6 of the relative one.",
}
CLOSING = """`DiscreteAdjoint` on diffrax's engine is `RecursiveCheckpointAdjoint`. What works
inside what is in [derivatives_of_solves.md](derivatives_of_solves.md)."""


def main() -> None:
    """Measure, unless only the page is wanted, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", action="store_true", help="write the page from the numbers")
    if not parser.parse_args().page:
        jax.config.update("jax_enable_x64", True)
        measure_all()
    PAGE.write_text(page(json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
