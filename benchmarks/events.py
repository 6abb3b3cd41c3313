"""events: a falling ball that lands, against diffrax, and one that bounces, which diffrax has not.

The loss is the time of the landing, or of the third bounce. Directions: `value`; `gradient` by
height, gravity and restitution; `compile-gradient`, a gradient traced, compiled and run once.
`difference` is the largest relative error, of the time or of its derivatives, against the formula.
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

_BOUNCES = 3

Time = Callable[[jax.Array], jax.Array]
"""That of the event, of height, gravity and restitution."""


def cases() -> list[Case]:
    """The rows: in float64 with `--x64`, where diffrax has no events of float32, or in float32."""
    dtype = "float64" if jax.config.jax_enable_x64 else "float32"  # pyright: ignore
    peers = {
        "lands": {"diffrax": _diffrax, "sciml_lux": functools.partial(_ours, count=1)},
        "bounces": {"sciml_lux": functools.partial(_ours, count=_BOUNCES)},
    }
    return [
        case
        for name, own in peers.items()
        for direction in ("value", "gradient", "compile-gradient")
        for case in _cases(name, dtype, direction, own)
    ]


def _cases(name: str, dtype: str, direction: str, peers: dict[str, Any]) -> list[Case]:
    args = jnp.asarray([1.0, 9.81, 0.8], dtype)
    exact = functools.partial(_exact, count=_BOUNCES if name == "bounces" else 1)
    row = f"events/{name}/{dtype}-{direction}/{direction}/{device_name()}"
    found = []
    for peer, made in peers.items():
        time = made(dtype, 1e-8 if dtype == "float64" else 1e-5)
        of = (lambda f: f) if direction == "value" else jax.value_and_grad
        difference = _difference(jax.jit(of(time))(args), of(exact)(args))
        run = _anew(of(time), args) if "compile" in direction else _warm(jax.jit(of(time)), args)
        found.append(Case(row, peer, run, 1 if "compile" in direction else 100, difference))
    return found


def _exact(args: jax.Array, count: int) -> jax.Array:
    height, gravity, restitution = args
    first = jnp.sqrt(2 * height / gravity)
    return first * (1 + 2 * sum(restitution**i for i in range(1, count)))


def _difference(found: Any, want: Any) -> float:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True)
    scaled = [jnp.max(jnp.abs(a - b)) / jnp.max(jnp.abs(b)) for a, b in pairs]
    return float(jnp.max(jnp.stack(scaled)))


def _falls(t: jax.Array, u: jax.Array, args: jax.Array) -> jax.Array:
    return jnp.stack([u[1], -args[1]])


def _height(t: jax.Array, u: jax.Array, args: jax.Array) -> jax.Array:
    return u[0]


def _bounced(t: jax.Array, u: jax.Array, args: jax.Array) -> jax.Array:
    return jnp.stack([u[0], -args[2] * u[1]])


def _start(args: jax.Array) -> jax.Array:
    return jnp.stack([args[0], jnp.zeros_like(args[0])])


def _ours(dtype: str, tolerance: float, count: int) -> Time:
    method = ode.Method(rtol=tolerance, atol=tolerance)
    event = ode.Event(_height, direction=-1, affect=_bounced, terminal=count == 1)

    def time(args: jax.Array) -> jax.Array:
        problem = ode.Problem(_start(args), tspan=(0.0, 2.0))
        events: Any = ode.solve(
            _falls, problem, args, method=method, events=(event,), max_events=count + 1
        ).events
        return events.times[count - 1]

    return time


def _diffrax(dtype: str, tolerance: float) -> Time:
    real = functools.partial(jnp.asarray, dtype=dtype)
    newton = optimistix.Newton(tolerance, tolerance)

    def time(args: jax.Array) -> jax.Array:
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(_falls),  # pyright: ignore[reportArgumentType]
            diffrax.Tsit5(),
            real(0.0),
            real(2.0),
            None,
            _start(args),
            args=args,
            event=diffrax.Event(lambda t, y, args, **_: y[0], newton),
            stepsize_controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        ).ts
        return jnp.asarray(found)[-1]  # pyright: ignore

    return time


def _warm(call: Callable[[jax.Array], Any], args: jax.Array) -> Run:
    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            call(args)
        return jax.tree.leaves(jax.block_until_ready(call(args)))[0]

    return run


def _anew(function: Callable[[jax.Array], Any], args: jax.Array) -> Run:
    def run(n: int) -> jax.Array:
        for _ in range(n - 1):
            run(1)
        anew = jax.jit(lambda args: function(args))  # noqa: PLW0108
        found = jax.block_until_ready(anew.lower(args).compile()(args))
        return jax.tree.leaves(found)[0]

    return run
