"""Residuals of equations by joint evaluation, beside hand-written nesting of `jax.jvp`."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sciml_lux import autodiff

Residual = Callable[[Callable, jax.Array], jax.Array]


def residuals() -> dict[str, dict[str, Residual]]:
    """For each equation the residual of a function u(x, t) at points, by peer."""
    return {
        "burgers": {"sciml_lux": _burgers, "nested jvp": _burgers_by_hand},
        "kuramoto-sivashinsky": {"sciml_lux": _kuramoto, "nested jvp": _kuramoto_by_hand},
    }


def _burgers(u: Callable, xt: jax.Array) -> jax.Array:
    d = autodiff.derivatives(u, xt, ["u", "u_t", "u_x", "u_xx"], coordinates="xt")
    return d.u_t + d.u * d.u_x - 0.01 * d.u_xx


def _kuramoto(u: Callable, xt: jax.Array) -> jax.Array:
    d = autodiff.derivatives(u, xt, ["u", "u_t", "u_x", "u_xx", "u_xxxx"], coordinates="xt")
    return d.u_t + d.u * d.u_x + d.u_xx + d.u_xxxx


def _burgers_by_hand(u: Callable, xt: jax.Array) -> jax.Array:
    by_x, by_t = _along(xt, 0), _along(xt, 1)
    value, u_t = by_t(u, xt)
    u_x, u_xx = by_x(lambda xt: by_x(u, xt)[1], xt)
    return (u_t + value * u_x - 0.01 * u_xx)[:, 0]


def _kuramoto_by_hand(u: Callable, xt: jax.Array) -> jax.Array:
    by_x, by_t = _along(xt, 0), _along(xt, 1)
    value, u_t = by_t(u, xt)

    def first(xt: jax.Array) -> jax.Array:
        return by_x(u, xt)[1]

    def second(xt: jax.Array) -> tuple[jax.Array, jax.Array]:
        return by_x(first, xt)

    def third(xt: jax.Array) -> tuple[tuple, tuple]:
        return by_x(second, xt)

    ((u_x, u_xx), _), (_, (_, u_xxxx)) = by_x(third, xt)
    return (u_t + value * u_x + u_xx + u_xxxx)[:, 0]


def _along(xt: jax.Array, coordinate: int) -> Callable:
    """The value and the derivative of a function along a coordinate."""
    direction = jnp.zeros_like(xt).at[:, coordinate].set(1)
    return lambda f, xt: jax.jvp(f, (xt,), (direction,))


def of_network(residual: Residual, model: Any, st: Any) -> Callable[[Any, jax.Array], jax.Array]:
    """The residual of a network, as a function of its parameters and the points."""
    network = functools.partial(_network, model, st)
    return lambda ps, xt: residual(functools.partial(network, ps), xt)


def _network(model: Any, st: Any, ps: Any, xt: jax.Array) -> jax.Array:
    return model(xt, ps, st)[0]
