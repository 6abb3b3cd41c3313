"""Every adjoint with everything that a solve can have: right, or refused by name."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ode
from tests.conftest import needs_x64, slow

from .features import FEATURES, X, adaptive, fixed

pytestmark = [pytest.mark.traced, needs_x64]
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
# Derivatives by times are du/dt, and not those of the steps.
TO_TOLERANCE = {("times", "reversible"), ("times", "forward")}
HAS_ALL = {"discrete", "auto"}
REFUSED = {
    (feature, name)
    for feature in ("dense", "estimates")
    for name in EXACT | CONTINUOUS
    if name not in HAS_ALL
}
CELLS = [(feature, name) for feature in FEATURES for name in EXACT | CONTINUOUS]


# One of each row and column, where they compile fast; those refused are fast as well.
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
}


def cells(wanted):
    """The cells that are wanted, all but the fast ones slow."""
    found = []
    for feature in FEATURES:
        for name in EXACT | CONTINUOUS:
            if wanted(feature, name):
                marks = [] if (feature, name) in FAST else [slow]
                found.append(pytest.param(feature, name, id=f"{feature}-{name}", marks=marks))
    return found


def gradient(feature, method):
    return jax.jit(jax.grad(functools.partial(FEATURES[feature], method=method)))


@functools.cache
def reference(feature):
    """The gradient of the equation, by the discrete adjoint of steps without error."""
    return np.asarray(gradient(feature, adaptive(None, 1e-12))(jnp.asarray(X)))


def is_exact(feature, name):
    return name in EXACT and (feature, name) not in TO_TOLERANCE | REFUSED


@pytest.mark.parametrize(("feature", "name"), cells(is_exact))
def test_exact_adjoint_is_the_derivative_of_the_steps(feature, name):
    method = fixed(EXACT[name])
    if feature == "estimates":
        method = adaptive(EXACT[name], 1e-6)
        expected = gradient(feature, adaptive(None, 1e-6))(jnp.asarray(X))
    else:
        value = jax.jit(functools.partial(FEATURES[feature], method=method))
        h = 3e-5 * np.eye(len(X))
        pairs = [(value(jnp.asarray(X + d)), value(jnp.asarray(X - d))) for d in h]
        expected = np.asarray([(a - b) / 6e-5 for a, b in pairs])
    found = gradient(feature, method)(jnp.asarray(X))
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


def is_continuous(feature, name):
    return not is_exact(feature, name) and (feature, name) not in REFUSED


@pytest.mark.parametrize(("feature", "name"), cells(is_continuous))
def test_continuous_adjoint_is_the_derivative_of_the_equation(feature, name):
    assert largest_error(feature, name, 1e-9) < 1e-6


@slow
@pytest.mark.parametrize(
    ("feature", "name"),
    [pytest.param(*cell, id="-".join(cell)) for cell in CELLS if is_continuous(*cell)],
)
def test_error_of_a_continuous_adjoint_falls_with_the_tolerance(feature, name):
    errors = [largest_error(feature, name, tolerance) for tolerance in (1e-4, 1e-7, 1e-10)]
    assert errors[1] < errors[0] / 20 and errors[2] < errors[1] / 20, errors


def largest_error(feature, name, tolerance):
    adjoint = (EXACT | CONTINUOUS)[name]
    found = gradient(feature, adaptive(adjoint, tolerance))(jnp.asarray(X))
    return np.abs(found - reference(feature)).max()


@pytest.mark.parametrize(
    ("feature", "name"), [pytest.param(*cell, id="-".join(cell)) for cell in sorted(REFUSED)]
)
def test_what_an_adjoint_does_not_have_is_refused_by_name(feature, name):
    adjoint = (EXACT | CONTINUOUS)[name]
    words = rf"`{type(adjoint).__name__}` does not .*`{feature}=True`\. .* ode\.DiscreteAdjoint"
    with pytest.raises(ValueError, match=words):
        FEATURES[feature](jnp.asarray(X), adaptive(adjoint, 1e-6))


def test_every_row_and_column_has_a_fast_cell():
    fast = FAST | REFUSED
    assert {feature for feature, _ in fast} == set(FEATURES)
    assert {name for _, name in FAST} == set(EXACT | CONTINUOUS)
