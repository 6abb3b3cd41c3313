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
from sciml_lux.ode.solving._counted import Counted

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
        stiff: whether its solvers are implicit.
        counted: how many components are in the loss; None for all.
    """

    field: Callable[..., jax.Array]
    u0: tuple[float, ...]
    times: tuple[float, ...]
    args: Any
    atol: float = 1.0
    stiff: bool = False
    counted: int | None = None

    def problem(self) -> ode.Problem:
        """What is solved."""
        return ode.Problem(jnp.asarray(self.u0), ts=jnp.asarray(self.times))

    def total(self, field: Callable[..., Any], method: ode.Method, args: Any) -> jax.Array:
        """The sum of the states, with `field` in the place of its own."""
        ys = ode.solve(field, self.problem(), args, method=method).ys
        return jnp.sum(ys[:, : self.counted])


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
    times = (0.0, 1.0, 10.0, 100.0)
    return {
        "Lotka-Volterra": Setting(lotka_volterra, (1.0, 1.0), evenly(10.0, 101), rates),
        "Neural ODE 2-8-2": Setting(network, (1.0, -0.5), evenly(1.5, 30), weights()),
        "Lorenz": Setting(lorenz, (1.0, 1.0, 1.0), evenly(5.0, 6), convection),
        "Robertson": Setting(robertson, (1.0, 0.0, 0.0), times, reactions, 1e-6, True, 1),
    }


TOLERANCES = (1e-3, 1e-6, 1e-9)
HURRY = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
NEWTON = diffrax.with_stepsize_controller_tols(optimistix.Newton)(cauchy_termination=False)
SOLVERS = {
    "Bosh3": diffrax.Bosh3(),
    "Tsit5": diffrax.Tsit5(),
    "Vern7": ode.Vern7(),
    "Vern9": ode.Vern9(),
    "Rodas5P": ode.Rodas5P(),
    "Kvaerno5": diffrax.Kvaerno5(root_finder=NEWTON),
}
OURS = {
    "DiscreteAdjoint": ode.DiscreteAdjoint(),
    "InterpolatingAdjoint": ode.InterpolatingAdjoint(),
    "GaussAdjoint": ode.GaussAdjoint(),
    "BacksolveAdjoint": ode.BacksolveAdjoint(),
    "ReversibleAdjoint": ode.ReversibleAdjoint(),
    "ForwardSensitivity": ode.ForwardSensitivity(),
    "ForwardSensitivity(control_error=True)": ode.ForwardSensitivity(control_error=True),
}
THEIRS = {
    f"diffrax.{type(adjoint).__name__}": adjoint
    for adjoint in (
        diffrax.RecursiveCheckpointAdjoint(),
        diffrax.DirectAdjoint(),
        diffrax.BacksolveAdjoint(),
    )
}
ADJOINTS = OURS | THEIRS
GO_BACK = {"BacksolveAdjoint", "ReversibleAdjoint", "diffrax.BacksolveAdjoint"}
"""Those that solve the state backwards, which is unstable where the problem is stiff."""


def cells() -> list[tuple[str, str, str]]:
    """Problem, solver and adjoint of all rows; diffrax's adjoints last, which compile longest."""
    names = settings()
    return [
        (problem, solver, adjoint)
        for adjoint in ADJOINTS
        for problem in names
        for solver in solvers_of(problem, names[problem].stiff, adjoint)
    ]


def solvers_of(problem: str, stiff: bool, adjoint: str) -> tuple[str, ...]:
    """The solvers of the rows of a problem and an adjoint."""
    if stiff:
        return () if adjoint in GO_BACK else ("Kvaerno5",) if adjoint in THEIRS else ("Rodas5P",)
    if adjoint in THEIRS:
        return ("Tsit5",)
    return ("Bosh3", "Tsit5", "Vern7") if problem == "Lotka-Volterra" else ("Tsit5", "Vern7")


def method_of(
    setting: Setting, solver: Any, adjoint: Any, tolerance: Any, max_steps: int = 4096
) -> ode.Method:
    """How it is solved; the tolerance is data, so that all share a program."""
    controller = diffrax.PIDController(rtol=tolerance, atol=tolerance * setting.atol)
    return ode.Method(
        solver=solver,
        adjoint=adjoint,
        stepsize_controller=controller,
        max_steps=max_steps,
        throw=False,
    )


def measured(setting: Setting, solver: Any, adjoint: Any, best: Any) -> list[dict]:
    """Error, times, memory and evaluations of a gradient, at each tolerance."""

    def total(field: Callable[..., Any]) -> Callable[..., jax.Array]:
        def of(args: Any, tolerance: jax.Array) -> jax.Array:
            return setting.total(field, method_of(setting, solver, adjoint, tolerance), args)

        return of

    begin = time.perf_counter()
    gradient = jax.jit(jax.grad(total(setting.field))).lower(setting.args, 1e-3).compile()
    compiling = time.perf_counter() - begin
    counted = Counted(setting.field)
    # What counts is not timed, so XLA compiles it in a hurry.
    solve, both = (
        jax.jit(function).lower(setting.args, 1e-3).compile(HURRY)
        for function in (total(counted), jax.grad(total(counted)))
    )
    memory = gradient.memory_analysis()
    return [
        {
            "rtol": tolerance,
            "error": error(gradient(setting.args, tolerance), best),
            "compile_s": round(compiling, 2),
            "warm_ms": round(1e3 * median_seconds(gradient, setting.args, tolerance), 3),
            "memory_bytes": int(memory.temp_size_in_bytes),
            "solve_evaluations": counted.of(solve, setting.args, tolerance),
            "evaluations": counted.of(both, setting.args, tolerance),
        }
        for tolerance in TOLERANCES
    ]


def median_seconds(program: Any, *arguments: Any) -> float:
    """The median of some calls."""
    found = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        found.append(time.perf_counter() - begin)
    return float(np.median(found))


def error(found: Any, best: Any) -> float:
    """The largest relative error of a number; of the network's, relative to its largest."""
    errors = []
    for leaf, want in zip(jax.tree.leaves(found), jax.tree.leaves(best), strict=True):
        scale = np.abs(want) if len(jax.tree.leaves(best)) == 1 else np.max(np.abs(want))
        errors.append(np.max(np.abs(np.asarray(leaf) - np.asarray(want)) / scale))
    return float(np.max(errors))


def reference(setting: Setting) -> Any:
    """The gradient by the finest steps."""
    solver = SOLVERS["Rodas5P" if setting.stiff else "Vern9"]
    tolerance = 1e-12 if setting.stiff else 1e-13
    method = method_of(setting, solver, None, tolerance, max_steps=2**14)
    return jax.jit(jax.grad(lambda args: setting.total(setting.field, method, args)))(setting.args)


def measure_all() -> None:
    """Measure what is not in the file yet, so that a run can go on where one ended."""
    settings_now = {
        "device": jax.devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)),
        "jax": jax.__version__,
        "diffrax": diffrax.__version__,
    }
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": []}
    before = {name: document[name] for name in settings_now if name in document}
    if document["rows"] and before != settings_now:
        raise SystemExit(f"{RESULTS} was measured with {before}. Delete it to begin anew.")
    document = settings_now | {"rows": document["rows"]}
    known = {(row["problem"], row["solver"], row["adjoint"]) for row in document["rows"]}
    problems, references = settings(), {}
    for names in cells():
        problem, solver, adjoint = names
        if names in known:
            continue
        setting = problems[problem]
        if problem not in references:
            references[problem] = reference(setting)
        cell = dict(zip(("problem", "solver", "adjoint"), names, strict=True))
        rows = measured(setting, SOLVERS[solver], ADJOINTS[adjoint], references[problem])
        for row in rows:
            print(cell | row, flush=True)
            document["rows"].append(cell | row)
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def page(document: dict) -> str:
    """The page of the numbers."""
    parts = [INTRODUCTION.format(**document, best=best_choices(document["rows"]))]
    header = (
        "| solver | adjoint | rtol | error | warm, ms | compile, s | memory, kB "
        "| evaluations: solve | gradient |"
    )
    for name in settings():
        parts.append(f"## {name}\n\n{textwrap.fill(NOTES[name], 100)}\n\n{header}\n|{'---|' * 9}")
        own = [row for row in document["rows"] if row["problem"] == name]
        own.sort(key=lambda row: (list(SOLVERS).index(row["solver"]), row["adjoint"] in THEIRS))
        parts[-1] += "".join("\n" + line(row) for row in own)
    return "\n\n".join([*parts, CLOSING]) + "\n"


def best_choices(rows: list[dict]) -> str:
    """The fastest gradients with at most an error of 1e-6 of each problem, as a table."""
    lines = ["| problem | fastest | by diffrax |", "|---|---|---|"]
    for problem in settings():
        good = [row for row in rows if row["problem"] == problem and row["error"] <= 1e-6]
        sides = [
            [r for r in good if (r["adjoint"] in THEIRS) == theirs] for theirs in (False, True)
        ]
        lines.append(f"| {problem} | {' | '.join(map(fastest, sides))} |")
    return "\n".join(lines)


def fastest(rows: list[dict]) -> str:
    """The fastest row, in words."""
    if not rows:
        return "none"
    row = min(rows, key=lambda row: row["warm_ms"])
    words = f"{row['warm_ms']:.2f} ms: {row['solver']}, `{row['adjoint']}`, rtol {row['rtol']:.0e}"
    return f"{words}, error {row['error']:.0e}"


def line(row: dict) -> str:
    """A row of the table."""
    failed = not np.isfinite(row["error"])
    cells = (
        row["solver"],
        f"`{row['adjoint']}`",
        f"{row['rtol']:.0e}",
        "failed" if failed else f"{row['error']:.1e}",
        f"{row['warm_ms']:.2f}",
        f"{row['compile_s']:.1f}",
        f"{row['memory_bytes'] / 1e3:.0f}",
        str(row["solve_evaluations"]),
        str(row["evaluations"]),
    )
    return f"| {' | '.join(cells)} |"


INTRODUCTION = """# Gradients of solves: every adjoint, with its error and its cost

Made by `scripts/gradients_page.py` ({device}, {cores} cores; jax {jax}, diffrax {diffrax}). The
loss is the sum of the states at the wanted times. The error is the largest relative error of a
number of the gradient, against the discrete adjoint of a solve with the finest steps. "Memory" is
what the compiled gradient asks for beside its arguments and results, with `max_steps=4096`;
"evaluations" are those of the field, in the solve alone and in the solve with its gradient: see
`ode.adjoint_cost`. Times are medians of twenty calls.

The fastest gradients with an error of at most 1e-6:

{best}

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
    "1e-6, by `ReversibleAdjoint` to 1e-4. Bosh3 needs more than 4096 steps there; at rtol=1e-3 "
    "`ReversibleAdjoint` finds that its way back by Bosh3 misses the start, and has no gradient.",
    "Neural ODE 2-8-2": "42 weights, 30 states from 0 to 1.5.",
    "Lorenz": "From (1, 1, 1), 6 states from 0 to 5. On longer ways gradients grow without bound: "
    "the equation is chaotic, and no adjoint changes that. Solved backwards from a wanted time the "
    "state is lost: the gradients of both `BacksolveAdjoint`s are far off their tolerance, and "
    "`ReversibleAdjoint` finds "
    "that its way back misses the start, and has none.",
    "Robertson": "Three rates, the first component at 0, 1, 10 and 100; the absolute tolerance is "
    "1e-6 of the relative one. It is stiff: see [stiff.md](stiff.md). Adjoints that solve the "
    "state backwards are refused.",
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
