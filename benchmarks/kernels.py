"""kernels: ensembles of Lorenz's equations, each trajectory with its own steps, against diffrax.

Levels: 0, `jax.vmap(diffrax.diffeqsolve)`; 1, ours, `jax.vmap(solve)`, by arrays and by components.
Directions: `value`; `gradient` of the sum of squares of the end states by the initial states and by
three parameters of each trajectory. All begin with the same step and have the same tolerance.
`difference` is the largest error of 128 trajectories, of the end states or of the gradient,
relative to the largest of them, against a solve at a tolerance a thousand times finer.
"""

import functools
from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from sciml_lux.ops.internal import solve, tableaus

from ._measure import Case, Run, device_name

_NUMBERS = (128, 2048, 32768)
_END, _FIRST_STEP, _MAX_STEPS = 1.0, 0.001, 512
_TOLERANCES = {"float32": 1e-5, "float64": 1e-8}
_FEW = 128

Solve = Callable[[jax.Array, jax.Array], jax.Array]
"""The states at the end, of the initial states and the parameters."""


def cases() -> list[Case]:
    """The rows; those in float64 with `--x64`."""
    wanted = ["float64"] if jax.config.jax_enable_x64 else ["float32"]  # pyright: ignore
    return [case for dtype in wanted for number in _NUMBERS for case in _rows(number, dtype)]


def _rows(number: int, dtype: str) -> list[Case]:
    tolerance, given = _TOLERANCES[dtype], _given(number, dtype)
    few = [x[:_FEW] for x in given]
    solves: dict[str, Solve] = {
        "diffrax": functools.partial(_diffrax, tolerance),
        "sciml_lux by arrays": functools.partial(_ours, False, tolerance),
        "sciml_lux by components": functools.partial(_ours, True, tolerance),
    }
    finer = max(tolerance / 1000, 2 * float(jnp.finfo(dtype).eps))
    best = functools.partial(_ours, True, finer, max_steps=4096)
    found = []
    for direction, made in (("value", _value), ("gradient", _gradient)):
        name = f"kernels/lorenz-{number}/{dtype}-{direction}/{direction}/{device_name()}"
        want = jax.jit(made(best))(*few)[1]
        for peer, one in solves.items():
            call = jax.jit(made(one))
            difference = _difference(call(*few)[1], want)
            found.append(Case(name, peer, _run(call, given), 1, difference))
    return found


def _given(number: int, dtype: str) -> list[jax.Array]:
    """The initial states and the parameters, near the attractor and its own."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(number, 3)) + np.array([1, 1, 20])
    parameters = np.array([10, 28, 8 / 3]) * (1 + 0.05 * rng.normal(size=(number, 3)))
    return [jnp.asarray(states, dtype), jnp.asarray(parameters, dtype)]


def _field(t: jax.Array, y: jax.Array, p: jax.Array) -> jax.Array:
    x, y, z = y
    return jnp.stack([p[0] * (y - x), x * (p[1] - z) - y, x * y - p[2] * z])


def _diffrax(tolerance: float, y0: jax.Array, parameters: jax.Array) -> jax.Array:
    real = functools.partial(jnp.asarray, dtype=y0.dtype)

    def one(y0: jax.Array, p: jax.Array) -> Any:
        return diffrax.diffeqsolve(
            diffrax.ODETerm(_field),  # pyright: ignore[reportArgumentType]
            diffrax.Tsit5(),
            real(0.0),
            real(_END),
            real(_FIRST_STEP),
            y0,
            args=p,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
            max_steps=_MAX_STEPS,
        ).ys

    return jax.vmap(one)(y0, parameters)[:, -1]


def _ours(by_components: bool, tolerance: float, y0: jax.Array, parameters: jax.Array, **more: int):
    """Our solve."""
    options = _options(tolerance) | {"by_components": by_components} | more
    return jax.vmap(lambda y, p: solve(_field, *_span(y0), y, p, **options).y1)(y0, parameters)


def _span(y0: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.zeros((), y0.dtype), jnp.asarray(_END, y0.dtype)


def _options(tolerance: float) -> dict[str, Any]:
    return {
        "tableau": tableaus.TSIT5,
        "rtol": tolerance,
        "atol": tolerance,
        "dt0": _FIRST_STEP,
        "max_steps": _MAX_STEPS,
    }


Loss = Callable[[jax.Array, jax.Array], tuple[jax.Array, Any]]
"""A number, and what is compared."""


def _value(solve: Solve) -> Loss:
    def loss(y0: jax.Array, parameters: jax.Array) -> tuple[jax.Array, jax.Array]:
        found = solve(y0, parameters)
        return jnp.sum(found**2), found

    return loss


def _gradient(solve: Solve) -> Loss:
    return jax.value_and_grad(lambda *given: _value(solve)(*given)[0], (0, 1))


def _difference(found: Any, want: Any) -> float:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True)
    return max(float(jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b))) for a, b in pairs)


def _run(call: Loss, given: list[jax.Array]) -> Run:
    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            call(*given)
        return jax.block_until_ready(call(*given))[0]

    return run
