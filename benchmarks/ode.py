"""ode: whole solves and their gradients, against diffrax with its default adjoint.

The loss is the mean square of the saved states. Directions: `value`; `gradient` by the parameters;
`forward-over-reverse`, the product of the Hessian with a direction, for which diffrax needs
`DirectAdjoint`; `compile-gradient`, a gradient traced, compiled and run once. `difference` is the
largest error of a state, relative to the largest state, against a solve at a tolerance a thousand
times finer. `field alone` evaluates the vector field as often as our solve does, in one loop, on
one state: no solve can take less. We hold each sample of a batch to the tolerance, and states
between steps; diffrax holds the batch, and states at steps. So there are two rows of ours: one at
the same tolerance, and `at equal error`, at the loosest of its doubles with no more than diffrax's
error.

The rows `adjoints-...` are gradients by every adjoint, diffrax's first, warm and compiled anew;
their `difference` is that of the gradient, relative to its largest number.

One more problem is one more line of `_PROBLEMS`.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from sciml_lux import apply, nn, ode, setup

from ._measure import Case, Run, device_name

_FIRST_STEP = 0.01
_ADJOINTS = (
    ode.DiscreteAdjoint(),
    ode.InterpolatingAdjoint(),
    ode.GaussAdjoint(),
    ode.BacksolveAdjoint(),
    ode.ReversibleAdjoint(),
    ode.ForwardSensitivity(),
    ode.ForwardSensitivity(control_error=True),
)
_THEIRS = (
    diffrax.RecursiveCheckpointAdjoint(),
    diffrax.DirectAdjoint(),
    diffrax.BacksolveAdjoint(),
)


class Problem(NamedTuple):
    """A neural ODE.

    Attributes:
        name: in words, as part of the row's name.
        widths: of the network, input and output included.
        batch: samples; 0 for one without an axis.
        end: the last time; the first is 0.
        saves: how many states are saved, evenly; 1 for the last alone.
        tolerance: relative and absolute.
        dtype: of everything.
        steps: calls of a round.
    """

    name: str
    widths: tuple[int, ...]
    batch: int
    end: float
    saves: int
    tolerance: float
    dtype: str
    steps: int

    @property
    def model(self) -> nn.Chain:
        """The network."""
        pairs = list(zip(self.widths, self.widths[1:], strict=False))
        hidden = [nn.Dense(a, b, nn.tanh) for a, b in pairs[:-1]]
        return nn.Chain(*hidden, nn.Dense(*pairs[-1]))

    @property
    def u0(self) -> jax.Array:
        """The initial state."""
        shape = (self.batch, self.widths[0]) if self.batch else (self.widths[0],)
        # Of NumPy, so that drawing it is no part of the programs.
        return jnp.asarray(np.random.default_rng(1).normal(size=shape), self.dtype)

    @property
    def times(self) -> tuple[float, ...]:
        """Of the saved states."""
        if self.saves == 1:
            return (self.end,)
        return tuple(self.end * i / (self.saves - 1) for i in range(self.saves))


_PROBLEMS = (
    Problem("spiral-2-50-2", (2, 50, 2), 0, 1.5, 30, 1e-5, "float32", 200),
    Problem("batch-256-2-64-64-2", (2, 64, 64, 2), 256, 1.0, 1, 1e-5, "float32", 5),
    Problem("spiral-2-50-2", (2, 50, 2), 0, 1.5, 30, 1e-8, "float64", 100),
    Problem("long-4-32-32-4", (4, 32, 32, 4), 16, 20.0, 100, 1e-8, "float64", 3),
)


def cases() -> list[Case]:
    """The rows; those in float64 with `--x64`."""
    wanted = [p for p in _PROBLEMS if p.dtype == "float32" or jax.config.jax_enable_x64]  # pyright: ignore
    rows = [case for problem in wanted for case in _rows(problem)]
    return rows + [case for p in wanted if not p.batch and p.saves > 1 for case in _adjoints(p)]


def _adjoints(problem: Problem) -> list[Case]:
    """A gradient by every adjoint."""
    ps, st = setup(0, problem.model, dtype=jnp.dtype(problem.dtype))
    peers: dict[str, Any] = {
        f"diffrax {type(adjoint).__name__}": functools.partial(_diffrax, problem, st, adjoint)
        for adjoint in _THEIRS
    }
    peers |= {
        f"sciml_lux {adjoint}": functools.partial(_ours, problem, st, None, adjoint)
        for adjoint in _ADJOINTS
    }
    best = _gradient_of(_ours(problem, st, problem.tolerance / 1000))(ps)
    found = []
    for direction in ("gradient", "compile-gradient"):
        name = f"ode/adjoints-{problem.name}/{problem.dtype}-{direction}/{direction}"
        for peer, made in peers.items():
            solve = made()
            difference = _largest_difference(_gradient_of(solve)(ps), best)
            steps = 1 if direction == "compile-gradient" else problem.steps
            run = _run(direction, solve, ps)
            found.append(Case(f"{name}/{device_name()}", peer, run, steps, difference))
    return found


def _gradient_of(solve: "Solve") -> Callable[[Any], Any]:
    return jax.jit(jax.grad(lambda ps: jnp.mean(solve(ps) ** 2)))


def _largest_difference(found: Any, best: Any) -> float:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(best), strict=True)
    largest = max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(best))
    return max(float(jnp.max(jnp.abs(a - b))) for a, b in pairs) / largest


def _rows(problem: Problem) -> list[Case]:
    ps, st = setup(0, problem.model, dtype=jnp.dtype(problem.dtype))
    best = _ours(problem, st, problem.tolerance / 1000)
    row = f"ode/{problem.name}/{problem.dtype}"
    loose = _as_good(problem, st, ps, best, _error(_diffrax(problem, st), best, ps))
    peers = {
        "diffrax": functools.partial(_diffrax, problem, st),
        "sciml_lux": functools.partial(_ours, problem, st),
        "sciml_lux at equal error": functools.partial(_ours, problem, st, loose),
    }
    found = []
    for direction in ("value", "gradient", "forward-over-reverse", "compile-gradient"):
        name = f"{row}-{direction}/{direction}/{device_name()}"
        for peer, made in peers.items():
            solve = made(direct=direction == "forward-over-reverse")
            difference = _error(solve, best, ps)
            run = _run(direction, solve, ps)
            steps = 1 if direction == "compile-gradient" else problem.steps
            found.append(Case(name, peer, run, steps, difference))
        if direction == "value":
            found.append(Case(name, "field alone", _field_alone(problem, ps, st), problem.steps))
    return found


Solve = Callable[[Any], jax.Array]
"""The saved states, of the parameters."""


def _ours(
    problem: Problem,
    st: Any,
    tolerance: float | None = None,
    adjoint: Any = None,
    direct: bool = False,
) -> Solve:
    node = _node(problem, tolerance, adjoint)
    return lambda ps: node(problem.u0, ps, st)[0]


def _node(problem: Problem, tolerance: float | None = None, adjoint: Any = None) -> ode.NeuralODE:
    rtol = tolerance or problem.tolerance
    return ode.NeuralODE(
        problem.model,
        (0.0, problem.end),
        saveat=problem.times if problem.saves > 1 else None,
        rtol=rtol,
        atol=rtol,
        dt0=_FIRST_STEP,
        max_steps=4096,
        adjoint=adjoint,
    )


def _diffrax(problem: Problem, st: Any, adjoint: Any = None, direct: bool = False) -> Solve:
    real = functools.partial(jnp.asarray, dtype=problem.dtype)
    model, tolerance = problem.model, problem.tolerance
    default = diffrax.DirectAdjoint() if direct else diffrax.RecursiveCheckpointAdjoint()

    def solve(ps: Any) -> jax.Array:
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, u, ps: apply(model, u, ps, st)[0]),
            diffrax.Tsit5(),
            real(0.0),
            real(problem.end),
            real(_FIRST_STEP),
            problem.u0,
            args=ps,
            saveat=diffrax.SaveAt(ts=real(problem.times)),
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            adjoint=adjoint or default,
            max_steps=4096,
        ).ys
        return jnp.asarray(found if problem.saves > 1 else found[-1])  # pyright: ignore

    return solve


def _as_good(problem: Problem, st: Any, ps: Any, best: Solve, error: float) -> float:
    """The loosest tolerance, of doubles of the problem's, with at most this error."""
    tolerance = problem.tolerance
    while _error(_ours(problem, st, 2 * tolerance), best, ps) <= error:
        tolerance *= 2
    return tolerance


def _error(solve: Solve, best: Solve, ps: Any) -> float:
    want = jax.jit(best)(ps)
    return float(jnp.max(jnp.abs(jax.jit(solve)(ps) - want)) / jnp.max(jnp.abs(want)))


def _run(direction: str, solve: Solve, ps: Any) -> Run:
    def loss(ps: Any) -> jax.Array:
        return jnp.mean(solve(ps) ** 2)

    gradient = jax.value_and_grad(loss)
    if direction == "compile-gradient":
        return _compiled(loss, ps)
    if direction == "forward-over-reverse":
        call = jax.jit(lambda ps: _product(gradient, ps))
    else:
        call = jax.jit(gradient if direction == "gradient" else lambda ps: (loss(ps), ()))

    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            call(ps)
        return jax.block_until_ready(call(ps))[0]

    return run


def _product(gradient: Callable[..., Any], ps: Any) -> tuple[jax.Array, Any]:
    """The loss, and the product of the Hessian with the parameters; nothing is solved for twice."""
    (loss, _), (_, product) = jax.jvp(gradient, (ps,), (ps,))
    return loss, product


def _compiled(loss: Callable[[Any], jax.Array], ps: Any) -> Run:
    def once() -> jax.Array:
        anew = jax.value_and_grad(lambda ps: loss(ps))  # noqa: PLW0108
        return jax.block_until_ready(jax.jit(anew).lower(ps).compile()(ps))[0]

    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            once()
        return once()

    return run


def _field_alone(problem: Problem, ps: Any, st: Any) -> Run:
    solution, _ = _node(problem).solve(problem.u0, ps, st)
    loss = jnp.mean(jnp.square(_ours(problem, st)(ps)))
    evaluations = int(solution.stats.num_field_evaluations)
    field = lambda u: apply(problem.model, u, ps, st)[0]  # noqa: E731

    @jax.jit
    def evaluate(u: jax.Array) -> jax.Array:
        # Bounded, so that no evaluation can be left out and none overflows.
        return jax.lax.fori_loop(0, evaluations, lambda _, u: jnp.clip(field(u), -1, 1), u)

    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            evaluate(problem.u0)
        jax.block_until_ready(evaluate(problem.u0))
        return loss

    return run
