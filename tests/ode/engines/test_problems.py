"""The end states of known problems, beside SciPy's at the same tolerance."""

import diffrax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest
import scipy.integrate

import sciml_lux as lux
from sciml_lux import ode
from tests.conftest import needs_x64, slow
from tests.ode.problems import PROBLEMS, Flow, numpy_field

pytestmark = needs_x64
STIFF = [name for name, problem in PROBLEMS.items() if problem.stiff]
QUICK = ["Lorenz", "Arenstorf"]
NEWTON = diffrax.with_stepsize_controller_tols(optimistix.Newton)(cauchy_termination=False)


def scipy_end(problem, rtol):
    field, jacobian = numpy_field(problem)
    method = {"method": "Radau", "jac": jacobian} if problem.stiff else {"method": "DOP853"}
    u0, atol = np.asarray(problem.u0, float), rtol * problem.atol
    found = scipy.integrate.solve_ivp(field, (0, problem.t1), u0, rtol=rtol, atol=atol, **method)
    return found.y[:, -1]


def our_end(problem, rtol, solver, **options):
    tolerances = {"rtol": rtol, "atol": rtol * problem.atol}
    node = Flow(problem.field, (0.0, problem.t1), solver=solver, **tolerances, **options)
    return node(jnp.asarray(problem.u0, float), lux.Record(), lux.Record())[0]


def error_of(problem):
    """The error of an end state, relative to components above `atol`."""
    want = scipy_end(problem, 1e-13) if problem.want is None else np.asarray(problem.want)
    return lambda u: np.max(np.abs(u - want) / (problem.atol + np.abs(want)))


@pytest.mark.parametrize("rtol", [1e-6, 1e-9])
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else slow)
        for name in PROBLEMS
        if name not in STIFF
    ],
)
def test_error_is_at_most_three_times_that_of_scipy(name, rtol):
    problem = PROBLEMS[name]
    error = error_of(problem)
    assert error(our_end(problem, rtol, ode.Vern9())) <= 3 * error(scipy_end(problem, rtol))


@slow
@pytest.mark.parametrize("name", STIFF)
def test_stiff_problems_reach_nine_digits_with_the_documented_options(name):
    problem, solver = PROBLEMS[name], diffrax.Kvaerno5(root_finder=NEWTON)
    end = our_end(problem, 1e-11, solver, max_steps=10_000)
    assert error_of(problem)(end) < 1e-9
