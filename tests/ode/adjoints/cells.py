"""The matrix: its columns, which cells are of which kind, and their programs, compiled once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ode
from tests.conftest import slow

from .event_features import EVENT_FEATURES, field
from .features import FEATURES, X, adaptive, fixed
from .replay import Replay

EXACT = {
    "discrete": ode.DiscreteAdjoint(),
    "reversible": ode.ReversibleAdjoint(),
    "forward": ode.ForwardSensitivity(),
    "auto": ode.AutoAdjoint(),
}
CONTINUOUS = {
    "interpolating": ode.InterpolatingAdjoint(),
    "Gauss": ode.GaussAdjoint(),
    "backsolve": ode.BacksolveAdjoint(),
    "forward, error controlled": ode.ForwardSensitivity(control_error=True),
}
ADJOINTS = EXACT | CONTINUOUS
EVENTS = {name for name, feature in FEATURES.items() if feature in EVENT_FEATURES}
# Derivatives by times are du/dt, and not those of the steps; so they are where events are.
TO_TOLERANCE = {("times", "reversible"), ("times", "forward")}
TO_TOLERANCE |= {(feature, name) for feature in EVENTS for name in EXACT}
HAS_ALL = {"discrete", "auto"}
REFUSED = {
    (feature, name)
    for feature in ("dense", "estimates")
    for name in ADJOINTS
    if name not in HAS_ALL
}
# One of each row and column, where they compile fast; those refused are fast as well. With events
# those of the adjoint whose program is the reference as well.
FAST = {
    ("end", "Gauss"),
    ("times", "discrete"),
    ("backwards", "backsolve"),
    ("control", "auto"),
    ("time input and state policy", "forward"),
    ("tree state", "discrete"),
    ("complex state", "interpolating"),
    ("running cost", "reversible"),
    ("times of each sample", "discrete"),
    ("samples", "auto"),
    ("members", "forward, error controlled"),
    ("stop", "discrete"),
    ("bounce", "discrete"),
    ("preset times", "discrete"),
    ("jump times", "discrete"),
    ("events in one step", "discrete"),
}
H = 1e-4


def is_exact(feature, name):
    """Whether the gradient is that of the steps, to rounding."""
    return name in EXACT and (feature, name) not in TO_TOLERANCE | REFUSED


def is_continuous(feature, name):
    """Whether it is that of the equation, to the tolerance."""
    return not is_exact(feature, name) and (feature, name) not in REFUSED


def cells(wanted, fast=FAST):
    """The cells that are wanted, all but the fast ones slow."""
    return [
        pytest.param(f, n, id=f"{f}-{n}", marks=[] if (f, n) in fast else [slow])
        for f in FEATURES
        for n in ADJOINTS
        if wanted(f, n)
    ]


@functools.cache
def adaptive_program(feature, name):
    """The loss and its gradient, of a point and a tolerance."""

    def loss(x, tolerance):
        return FEATURES[feature](x, adaptive(ADJOINTS[name], tolerance))

    program = jax.jit(jax.value_and_grad(loss))
    return lambda x, tolerance: program(jnp.asarray(x), jnp.asarray(tolerance))


def fixed_program(feature, name):
    """The loss and its gradient, of a point."""
    method = fixed(ADJOINTS[name])
    program = jax.jit(jax.value_and_grad(lambda x: FEATURES[feature](x, method)))
    return lambda x: program(jnp.asarray(x))


@functools.cache
def replayed(feature, coupling, tolerance):
    """The loss, and its gradient by differences, of the steps of a solve, taken again."""
    method = adaptive(Replay(coupling, feature == "estimates"), tolerance)
    loss = jax.vmap(lambda x: TWINS.get(feature, FEATURES[feature])(x, method), axis_name="points")
    values = np.asarray(jax.jit(loss)(jnp.asarray(points())))
    return values[0], differences(values)


def points():
    """The point, and those around it whose values have its derivatives."""
    steps = [k * H * np.eye(len(X)) for k in (1, -1, 2, -2)]
    return np.concatenate([X[None], *(X + step for step in steps)])


def differences(values):
    """The gradient by central differences of fourth order, of values at `points()`."""
    near, opposite, far, farthest = values[1:].reshape(4, -1)
    return (8 * (near - opposite) - (far - farthest)) / (12 * H)


def _inside(x, method):
    """As `dense`, by wanted times."""
    problem = ode.Problem(x[:2], tspan=(0.0, 1.2), ts=(0.3, 0.9))
    return jnp.sum(jnp.sin(ode.solve(field, problem, x, method=method).ys))


def _local_error(x, method):
    """As `estimates`, where the state at the end is that."""
    return ode.solve(field, ode.Problem(x[:2], tspan=(0.0, 1.2)), x, method=method).final.u[0]


# What has the same loss where a replay stands in for the solve.
TWINS = {"dense": _inside, "estimates": _local_error}
