"""Every adjoint with everything that a solve can have, in narrower dtypes: none wider appears."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.programs import walk
from tests.conftest import needs_x64, slow

from .cells import ADJOINTS, REFUSED, adaptive_program, cells
from .cells import FAST as FAST_CELLS
from .features import FEATURES, X, adaptive

pytestmark = [pytest.mark.traced, needs_x64]
TOLERANCES = {"float32": 1e-5, "float16": 1e-2, "bfloat16": 3e-2}
# Of the largest number of the gradient; in half precision that of a loss which is rounded, at a
# point which is.
BOUNDS = {"float32": 1e-3, "float16": 0.1, "bfloat16": 0.3}
FAST = {("tree state", "discrete"), ("complex state", "interpolating"), ("stop", "backsolve")}
# Known preset times are Python numbers, and in float64 until they are rounded to the clock.
NUMBERS = {"preset times"}
# Events that a clock in half precision tells apart.
HALF = {cell for cell in FAST_CELLS if cell[0] != "events in one step"}


def is_taken(feature, name):
    return (feature, name) not in REFUSED and name != "auto"


def is_real(feature, name):
    """Whether it is taken in half precision, of which there are no complex numbers."""
    return is_taken(feature, name) and feature != "complex state"


def tolerance_of(feature, dtype):
    """Of estimates one at which the local error is not rounding alone."""
    return 1e-2 if feature == "estimates" else TOLERANCES[dtype]


def traced(feature, name, dtype):
    """The gradient, traced at the point in this dtype."""
    method = adaptive(ADJOINTS[name], tolerance_of(feature, dtype))
    gradient = jax.jit(jax.grad(lambda x: FEATURES[feature](x, method)))
    return gradient.trace(jnp.asarray(X, dtype))


def check_types(program, feature, dtype):
    """The gradient has the dtype of what it is by, and nothing in its program is in float64."""
    assert program.out_info.dtype == dtype
    wide = {
        (visit.site.line, variable.aval.dtype.name)
        for visit in walk(program.jaxpr)
        if visit.equation is not None
        for variable in visit.equation.outvars
        if is_wide(variable.aval)
    }
    assert feature in NUMBERS or not wide, wide


def is_wide(aval):
    """Python numbers, whose type is weak, are not what a program computes with."""
    return getattr(aval, "dtype", None) in ("float64", "complex128") and not aval.weak_type


def check_digits(program, feature, dtype):
    tolerance = tolerance_of(feature, dtype) if feature == "estimates" else 1e-12
    _, expected = adaptive_program(feature, "discrete")(X, tolerance)
    found = np.asarray(program.lower().compile()(jnp.asarray(X, dtype)), np.float64)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert error < BOUNDS[dtype], error


@pytest.mark.parametrize(("feature", "name"), sorted(FAST))
def test_program_of_float32_has_no_float64(feature, name):
    check_types(traced(feature, name, "float32"), feature, "float32")


@slow
@pytest.mark.parametrize(("feature", "name"), cells(is_taken, ()))
def test_gradient_in_float32_is_that_in_float64_to_the_tolerance(feature, name):
    program = traced(feature, name, "float32")
    check_types(program, feature, "float32")
    check_digits(program, feature, "float32")


@slow
@pytest.mark.parametrize(("feature", "name"), cells(is_real, ()))
def test_half_precision_is_widened_to_float32_alone(feature, name):
    check_types(traced(feature, name, "float16"), feature, "float16")


@slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("feature", "name"), [c for c in cells(is_real, ()) if c.values in HALF])
def test_gradient_in_half_precision_is_that_in_float64_to_its_digits(feature, name, dtype):
    check_digits(traced(feature, name, dtype), feature, dtype)
