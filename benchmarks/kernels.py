"""kernels: ensembles of Lorenz's equations and of a neural ODE, each trajectory with its own steps.

Levels: 0, `jax.vmap(diffrax.diffeqsolve)`; 1, ours, `jax.vmap(solve)`, by arrays and, of Lorenz's
equations, by components; 2, on a GPU, by kernels. Directions: `value`; `gradient` of the sum of
squares of the end states by the initial states and by the parameters: three of each trajectory of
Lorenz's, the weights of the 2-32-32-2 network, which all share. All begin with the same step and
have the same tolerance. `difference` is the largest error of 128 trajectories, of the end states or
of the gradient, relative to the largest of them, against a solve at a tolerance a thousand times
finer.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from sciml_lux.ops.internal import solve, tableaus

from ._measure import Case, Run, device_name

_LORENZ = {"cpu": (128, 1024, 2048, 8192, 32768), "gpu": (128, 2048, 32768, 524288)}
_NETWORKS = {"cpu": (1, 128, 4096), "gpu": (1, 128, 4096, 65536)}
_FIRST_STEP, _MAX_STEPS = 0.001, 512
_TOLERANCES = {"float32": 1e-5, "float64": 1e-8}
_FEW = 128


class Ensemble(NamedTuple):
    """What is solved from 0 to 1.

    Attributes:
        name: of the equation.
        field: du/dt of a time, a state and parameters.
        states: of all trajectories at the start.
        parameters: of them.
        axis: that of trajectories in the parameters; None where they share them.
    """

    name: str
    field: Callable[[jax.Array, jax.Array, PyTree], jax.Array]
    states: jax.Array
    parameters: PyTree
    axis: int | None

    def few(self) -> "Ensemble":
        """The first trajectories."""
        some = self.parameters if self.axis is None else self.parameters[:_FEW]
        return self._replace(states=self.states[:_FEW], parameters=some)


Solve = Callable[[Ensemble], jax.Array]
"""The states at the end."""


def cases() -> list[Case]:
    """The rows; those in float64 with `--x64`."""
    dtype = "float64" if jax.config.jax_enable_x64 else "float32"  # pyright: ignore
    kind = "cpu" if jax.default_backend() == "cpu" else "gpu"
    ensembles = [_lorenz(number, dtype) for number in _LORENZ[kind]]
    ensembles += [_network(number, dtype) for number in _NETWORKS[kind]]
    return [case for ensemble in ensembles for case in _rows(ensemble)]


def _rows(ensemble: Ensemble) -> list[Case]:
    dtype, few = str(ensemble.states.dtype), ensemble.few()
    tolerance = _TOLERANCES[dtype]
    solves: dict[str, Solve] = {
        "diffrax": functools.partial(_diffrax, tolerance),
        "sciml_lux by arrays": functools.partial(_ours, tolerance),
    }
    if ensemble.axis is not None:
        by_components = functools.partial(_ours, by_components=True)
        solves["sciml_lux by components"] = functools.partial(by_components, tolerance)
        if jax.default_backend() != "cpu":
            solves["sciml_lux by kernel"] = functools.partial(by_components, tolerance, kernel=True)
    finer = max(tolerance / 1000, 2 * float(jnp.finfo(dtype).eps))
    best = functools.partial(_ours, finer, max_steps=4096)
    found = []
    for direction, made in (("value", _value), ("gradient", _gradient)):
        size = f"{ensemble.name}-{len(ensemble.states)}"
        name = f"kernels/{size}/{dtype}-{direction}/{direction}/{device_name()}"
        want = jax.jit(made(best, few))(*few[2:4])[1]
        for peer, one in solves.items():
            call = jax.jit(made(one, ensemble))
            difference = _difference(jax.jit(made(one, few))(*few[2:4])[1], want)
            found.append(Case(name, peer, _run(call, ensemble[2:4]), 1, difference))
    return found


def _lorenz(number: int, dtype: str) -> Ensemble:
    """Lorenz's equations, near the attractor and its parameters."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(number, 3)) + np.array([1, 1, 20])
    parameters = np.array([10, 28, 8 / 3]) * (1 + 0.05 * rng.normal(size=(number, 3)))

    def field(t: jax.Array, y: jax.Array, p: jax.Array) -> jax.Array:
        x, y, z = y
        return jnp.stack([p[0] * (y - x), x * (p[1] - z) - y, x * y - p[2] * z])

    return Ensemble("lorenz", field, jnp.asarray(states, dtype), jnp.asarray(parameters, dtype), 0)


def _network(number: int, dtype: str) -> Ensemble:
    """A neural ODE, 2-32-32-2 with tanh."""
    rng = np.random.default_rng(0)
    sizes = [(2, 32), (32, 32), (32, 2)]
    weights = [jnp.asarray(rng.normal(size=(b, a)) / a**0.5, dtype) for a, b in sizes]

    def field(t: jax.Array, y: jax.Array, weights: list[jax.Array]) -> jax.Array:
        for weight in weights[:-1]:
            y = jnp.tanh(weight @ y)
        return weights[-1] @ y

    return Ensemble(
        "network", field, jnp.asarray(rng.normal(size=(number, 2)), dtype), weights, None
    )


def _diffrax(tolerance: float, ensemble: Ensemble) -> jax.Array:
    real = functools.partial(jnp.asarray, dtype=ensemble.states.dtype)

    def one(y0: jax.Array, p: PyTree) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(ensemble.field),  # pyright: ignore[reportArgumentType]
            diffrax.Tsit5(),
            real(0.0),
            real(1.0),
            real(_FIRST_STEP),
            y0,
            args=p,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            max_steps=_MAX_STEPS,
        ).ys

    return jax.vmap(one, (0, ensemble.axis))(ensemble.states, ensemble.parameters)[:, -1]


def _ours(
    tolerance: float,
    ensemble: Ensemble,
    *,
    max_steps: int = _MAX_STEPS,
    by_components: bool = False,
    kernel: bool = False,
) -> jax.Array:
    real = functools.partial(jnp.asarray, dtype=ensemble.states.dtype)

    def one(y0: jax.Array, p: PyTree) -> jax.Array:
        return solve(
            ensemble.field,
            real(0.0),
            real(1.0),
            y0,
            p,
            tableau=tableaus.TSIT5,
            rtol=tolerance,
            atol=tolerance,
            dt0=_FIRST_STEP,
            max_steps=max_steps,
            by_components=by_components,
            kernel=kernel,
            is_member=True,
        ).y1

    return jax.vmap(one, (0, ensemble.axis))(ensemble.states, ensemble.parameters)


Loss = Callable[[jax.Array, PyTree], tuple[jax.Array, Any]]
"""A number, and what is compared."""


def _value(solve: Solve, ensemble: Ensemble) -> Loss:
    def loss(states: jax.Array, parameters: PyTree) -> tuple[jax.Array, jax.Array]:
        found = solve(ensemble._replace(states=states, parameters=parameters))
        return jnp.sum(found**2), found

    return loss


def _gradient(solve: Solve, ensemble: Ensemble) -> Loss:
    return jax.value_and_grad(lambda *given: _value(solve, ensemble)(*given)[0], (0, 1))


def _difference(found: Any, want: Any) -> float:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True)
    return max(float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b))) for a, b in pairs)


def _run(call: Loss, given: tuple[jax.Array, PyTree]) -> Run:
    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            call(*given)
        return jax.block_until_ready(call(*given))[0]

    return run
