"""Every adjoint with everything that a solve can have: right, or refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import needs_x64, slow

from .cells import (
    ADJOINTS,
    EVENTS,
    EXACT,
    FAST,
    REFUSED,
    adaptive_program,
    cells,
    differences,
    fixed_program,
    is_continuous,
    is_exact,
    points,
    replayed,
)
from .features import FEATURES, X, adaptive

pytestmark = [pytest.mark.traced, needs_x64]
FAST_REPLAYS = {("end", "discrete")}
FAST_REFERENCES = EVENTS
CHOSEN = "auto"


def is_exact_itself(feature, name):
    return is_exact(feature, name) and name != CHOSEN


def is_continuous_itself(feature, name):
    return is_continuous(feature, name) and name != CHOSEN


@pytest.mark.parametrize(("feature", "name"), cells(is_exact_itself))
def test_exact_adjoint_is_the_derivative_of_fixed_steps(feature, name):
    program = fixed_program(feature, name)
    _, found = program(X)
    expected = differences(np.asarray([program(x)[0] for x in points()]))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("feature", "name"), cells(is_exact_itself, FAST_REPLAYS))
def test_exact_adjoint_is_the_derivative_of_the_recorded_steps(feature, name):
    value, found = adaptive_program(feature, name)(X, 1e-5)
    coupling = getattr(EXACT[name], "coupling", None)
    same, expected = replayed(feature, coupling, 1e-5)
    np.testing.assert_allclose(value, same, rtol=1e-12)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize(("feature", "name"), cells(is_continuous_itself))
def test_continuous_adjoint_is_the_derivative_of_the_equation(feature, name):
    _, expected = adaptive_program(feature, "discrete")(X, 1e-12)
    program = adaptive_program(feature, name)
    found = [program(X, tolerance)[1] for tolerance in (1e-4, 1e-7, 1e-9, 1e-10)]
    errors = [float(np.abs(gradient - expected).max()) for gradient in found]
    assert errors[2] < 1e-6, errors
    assert errors[1] < errors[0] / 20 and errors[3] < errors[1] / 20, errors


@pytest.mark.parametrize(
    "feature",
    [
        f if f in FAST_REFERENCES else pytest.param(f, marks=slow)
        for f in FEATURES
        if any(is_continuous(f, name) for name in ADJOINTS)
    ],
)
def test_derivative_of_the_equation_is_that_of_the_finest_steps(feature):
    """So far as differences of the finest steps tell."""
    program = adaptive_program(feature, "discrete")
    expected = differences(np.asarray([program(x, 1e-12)[0] for x in points()]))
    found = program(X, 1e-12)[1]
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize(("feature", "name"), cells(lambda feature, name: name == CHOSEN))
def test_automatic_choice_has_the_program_of_the_adjoint_that_it_takes(feature, name):
    def text(adjoint):
        loss = lambda x: FEATURES[feature](x, adaptive(adjoint, 1e-6))
        return jax.jit(jax.grad(loss)).lower(jnp.asarray(X)).as_text()

    assert text(EXACT[name]) == text(EXACT["discrete"])


@pytest.mark.parametrize(
    ("feature", "name"), [pytest.param(*cell, id="-".join(cell)) for cell in sorted(REFUSED)]
)
def test_what_an_adjoint_does_not_have_is_refused_by_name(feature, name):
    words = (
        rf"`{type(ADJOINTS[name]).__name__}` does not .*`{feature}=True`\. .* ode\.DiscreteAdjoint"
    )
    with pytest.raises(ValueError, match=words):
        FEATURES[feature](jnp.asarray(X), adaptive(ADJOINTS[name], 1e-6))


def test_every_row_and_column_has_a_fast_cell():
    assert {feature for feature, _ in FAST | REFUSED} == set(FEATURES)
    assert {name for _, name in FAST} == set(ADJOINTS)
