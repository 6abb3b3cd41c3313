"""stiff: Robertson's reaction to t = 1e5 in float64, `ode.Rodas5P` against Kvaerno5 of diffrax.

The loss is the first component at the end. Directions: `value`; `gradient` by the three rates;
`compile-gradient`, a gradient traced, compiled and run once. `difference` is the largest relative
error of a component, or of a number of the gradient, against a solve at a much finer tolerance.
Kvaerno5 has Newton's method with a fresh Jacobian, with which it is faster and exact to its
tolerance: see docs/stiff.md. `at equal error` is ours at the loosest tolerance, of doubles of
diffrax's, with no more than diffrax's error.
"""

import functools
from collections.abc import Callable
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import optimistix

from sciml_lux import ode

from ._measure import Case, Run, device_name

_RATES = (0.04, 1e4, 3e7)
_END, _TOLERANCE, _ABSOLUTE = 1e5, 1e-7, 1e-8  # The absolute tolerance in units of the relative.

Solve = Callable[[jax.Array], jax.Array]
"""The state at the end, of the rates."""


def cases() -> list[Case]:
    """The rows, with `--x64`."""
    if not jax.config.jax_enable_x64:  # pyright: ignore
        return []
    rates, best = jnp.asarray(_RATES), _ours(_TOLERANCE / 1e4)
    found = []
    for direction, of in (("value", _state), ("gradient", _gradient)):
        want = jax.jit(of(best))(rates)
        error = functools.partial(_error, of, want, rates)
        peers: dict[str, Solve] = {
            "diffrax Kvaerno5": _diffrax(_TOLERANCE),
            "sciml_lux Rodas5P": _ours(_TOLERANCE),
        }
        equal = _as_good(error, error(peers["diffrax Kvaerno5"]))
        peers["sciml_lux Rodas5P at equal error"] = _ours(equal)
        for peer, solve in peers.items():
            run, difference = _warm(jax.jit(_value(direction, solve)), rates), error(solve)
            found.append(Case(_name(direction), peer, run, 20, difference))
            if direction == "gradient":
                anew = _anew(_value(direction, solve), rates)
                found.append(Case(_name("compile-gradient"), peer, anew, 1, difference))
    return sorted(found, key=lambda case: case.name)


def _name(direction: str) -> str:
    return f"stiff/robertson/float64-{direction}/{direction}/{device_name()}"


def _field(t: jax.Array, u: jax.Array, p: jax.Array) -> jax.Array:
    slow, back, fast = p[0] * u[0], p[1] * u[1] * u[2], p[2] * u[1] ** 2
    return jnp.stack([back - slow, slow - back - fast, fast])


def _start() -> jax.Array:
    return jnp.asarray([1.0, 0.0, 0.0])


def _ours(tolerance: float) -> Solve:
    method = ode.Method(
        solver=ode.Rodas5P(), rtol=tolerance, atol=tolerance * _ABSOLUTE, max_steps=4096
    )
    problem = ode.Problem(_start(), tspan=(0.0, _END))
    return lambda rates: ode.solve(_field, problem, rates, method=method).final.u


def _diffrax(tolerance: float) -> Solve:
    newton = diffrax.with_stepsize_controller_tols(optimistix.Newton)(cauchy_termination=False)

    def solve(rates: jax.Array) -> jax.Array:
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(_field),  # pyright: ignore[reportArgumentType]
            diffrax.Kvaerno5(root_finder=newton),
            0.0,
            _END,
            None,
            _start(),
            args=rates,
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance * _ABSOLUTE),
            max_steps=4096,
        ).ys
        return jnp.asarray(found)[-1]  # pyright: ignore

    return solve


def _state(solve: Solve) -> Solve:
    return solve


def _gradient(solve: Solve) -> Solve:
    return jax.grad(lambda rates: solve(rates)[0])


def _error(of: Callable[[Solve], Solve], want: jax.Array, rates: jax.Array, solve: Solve) -> float:
    return float(jnp.max(jnp.abs(jax.jit(of(solve))(rates) / want - 1)))


def _as_good(error: Callable[[Solve], float], most: float) -> float:
    tolerance = _TOLERANCE
    while error(_ours(2 * tolerance)) <= most:
        tolerance *= 2
    return tolerance


def _value(direction: str, solve: Solve) -> Callable[[jax.Array], Any]:
    """The loss, with its gradient where that is wanted."""
    loss = lambda rates: solve(rates)[0]  # noqa: E731
    return jax.value_and_grad(loss) if direction == "gradient" else lambda rates: (loss(rates), ())


def _warm(call: Callable[[jax.Array], Any], rates: jax.Array) -> Run:
    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            call(rates)
        return jax.block_until_ready(call(rates))[0]

    return run


def _anew(function: Callable[[jax.Array], Any], rates: jax.Array) -> Run:
    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            run(1)
        anew = jax.jit(lambda rates: function(rates))  # noqa: PLW0108
        return jax.block_until_ready(anew.lower(rates).compile()(rates))[0]

    return run
