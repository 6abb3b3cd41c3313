"""Systems with events whose times and states are known in closed form."""

import functools

import diffrax
import jax.numpy as jnp

from sciml_lux import ode
from tests.conftest import X64

DTYPE = jnp.float64 if X64 else jnp.float32
TIGHT = {"rtol": 1e-11, "atol": 1e-11} if X64 else {"rtol": 1e-6, "atol": 1e-6}
CLOSE = {"rtol": 1e-9, "atol": 1e-9} if X64 else {"rtol": 1e-4, "atol": 1e-4}
METHOD = ode.Method(**TIGHT)
METHODS = {
    "lean": METHOD,
    "explicit": ode.Method(adjoint=diffrax.RecursiveCheckpointAdjoint(), **TIGHT),
    "implicit": ode.Method(solver=diffrax.Kvaerno5(), **TIGHT),
}
GRAVITY = 9.81
array = functools.partial(jnp.asarray, dtype=DTYPE)


def falls(t, u, args):
    return jnp.stack([u[1], -GRAVITY * jnp.ones_like(u[1])])


def height(t, u, args):
    return u[0]


def bounces(t, u, restitution):
    return jnp.stack([u[0], -restitution * u[1]])


BOUNCE = ode.Event(height, bounces)


def ball(restitution, start, method=METHOD, end=2.0, **options):
    """A ball that is dropped from `start`, and bounces."""
    problem = ode.Problem(jnp.stack([start, 0 * start]), tspan=(0.0, end))
    return ode.solve(falls, problem, restitution, method=method, events=(BOUNCE,), **options)


def ball_times(restitution, start, count=3):
    """When it bounces."""
    first = jnp.sqrt(2 * start / GRAVITY)
    flights = 2 * first * restitution ** jnp.arange(1, count, dtype=first.dtype)
    return first + jnp.concatenate([jnp.zeros_like(flights[:1]), jnp.cumsum(flights)])


def ball_end(restitution, start, end=2.0):
    """Where it is then, and how fast, after three bounces."""
    last = end - ball_times(restitution, start)[-1]
    speed = jnp.sqrt(2 * GRAVITY * start) * restitution**3
    return jnp.stack([speed * last - GRAVITY * last**2 / 2, speed - GRAVITY * last])


def rises(t, u, args):
    return jnp.ones_like(u)


def stays(t, u, args):
    return u


def passes(level, affect=stays, **options):
    """An event where u, which rises by 1 in a unit of time, is `level`."""
    return ode.Event(lambda t, u, args: u - level, affect, **options)


def line(events, end=10.0, start=0.0, ts=None, args=None, **options):
    """u(t) = start + t, up to events."""
    problem = ode.Problem(array(start), ts=ts, tspan=(0.0, end))
    return ode.solve(rises, problem, args, method=METHOD, events=events, **options)
