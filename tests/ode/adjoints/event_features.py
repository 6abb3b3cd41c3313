"""What happens in a solve, each as a loss of an array of real numbers and a method."""

import jax.numpy as jnp
import numpy as np

from sciml_lux import ode

# Apart from what happens by more than half precision rounds times.
WANTED = np.asarray([0.0, 0.33, 0.33, 1.2])


def field(t, u, p):
    """A field that depends on the time, and is not linear."""
    push = p[2] * jnp.sin(p[3] * t).astype(u.dtype)
    return push - p[2] * u * u + jnp.flip(u)


def solved(x, events, method):
    problem = ode.Problem(x[:2], tspan=(0.0, 1.2), ts=jnp.asarray(WANTED, x.dtype))
    return ode.solve(field, problem, x, method=method, events=events, max_events=4)


def level(t, u, p):
    """Met near t = 0.4."""
    return u[0] - p[2]


def stop(x, method):
    """The solve ends where a component is as large as a parameter."""
    solution = solved(x, (ode.Event(level),), method)
    return jnp.sum(jnp.sin(solution.ys)) + solution.final.t * jnp.sum(solution.final.u)


def bounce(x, method):
    """The state changes there, and the solve goes on."""
    wall = ode.Event(level, lambda t, u, p: jnp.stack([u[0] - p[1], t * u[1]]))
    solution = solved(x, (wall,), method)
    return jnp.sum(jnp.sin(solution.ys)) + solution.events.times[0] + jnp.sum(solution.final.u)


def preset_times(x, method):
    doses = ode.PresetTimes([0.2, 0.9, 2.0], lambda t, u, p: u + t * p[0])
    solution = solved(x, (doses,), method)
    return jnp.sum(jnp.sin(solution.ys)) + jnp.sum(jnp.sin(solution.final.u))


def jump_times(x, method):
    """Preset times that are a function of the parameters, and a traced array."""
    doses = ode.PresetTimes(lambda p: p[1:3], lambda t, u, p: u + p[0])
    more = ode.PresetTimes(x[3:] / 5, lambda t, u, p: t * u)
    solution = solved(x, (doses, more), method)
    return jnp.sum(jnp.sin(solution.ys)) + jnp.sum(jnp.sin(solution.final.u))


def events_in_one_step(x, method):
    """Three within 0.0012, the last of them listed first."""
    later = ode.Event(lambda t, u, p: level(t, u, p) - 1e-3, lambda t, u, p: scaled(u, p[1]))
    first = ode.Event(level, lambda t, u, p: scaled(u, p[3]))
    between = ode.PresetTimes(lambda p: p[2:3] * 0.4398, lambda t, u, p: scaled(u, p[0]))
    solution = solved(x, (later, first, between), method)
    return jnp.sum(jnp.sin(solution.ys)) + jnp.sum(solution.events.times[:3])


def scaled(u, factor):
    """`u`, of which the part that the conditions read stays as it is."""
    return jnp.stack([u[0], factor * u[1]])


EVENT_FEATURES = (stop, bounce, preset_times, jump_times, events_in_one_step)
