"""docs/derivatives_of_solves.md: which derivative works inside which, with which adjoint."""

import functools
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ode
from tests.conftest import slow

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
PAGE = Path(__file__).parents[3] / "docs" / "derivatives_of_solves.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("|") and "---" not in line
]
ADJOINTS = [name.strip("`") for name in ROWS[0][1:]]
CELLS = {
    (row[0].partition(":")[0], name): answer
    for row in ROWS[1:]
    for name, answer in zip(ADJOINTS, row[1:], strict=True)
}
UNDIFFERENTIABLE = (TypeError, ValueError, NotImplementedError, RuntimeError)
STEPS = 8


def forward(f):
    return lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


DERIVATIVES = {"reverse": jax.grad, "forward": forward}


def nested(name, f):
    """`f` differentiated as "outer over inner" says."""
    for part in reversed(name.split(" over ")):
        f = DERIVATIVES[part](f)
    return f


def end(x, name):
    """x u(1), of u' = -x u, by Heun's method."""
    adjoint = None if name == "None" else getattr(diffrax, name)()
    method = ode.Method(
        solver=diffrax.Heun(),
        stepsize_controller=diffrax.ConstantStepSize(),
        dt0=1 / STEPS,
        adjoint=adjoint,
        max_steps=2 * STEPS,
    )
    problem = ode.Problem(x, tspan=(0.0, 1.0))
    return ode.solve(lambda t, u, rate: -rate * u, problem, x, method=method).ys[-1]


def closed_form(x):
    h = x / STEPS
    return x * (1 - h + h**2 / 2) ** STEPS


def cells(answer):
    """The cells with this answer; those of diffrax that nest take seconds each."""
    return [
        pytest.param(*cell, id="-".join(cell), marks=[slow] if nests(*cell) else [])
        for cell, found in CELLS.items()
        if found == answer
    ]


def nests(name, adjoint):
    return adjoint != "None" and " over " in name


@pytest.mark.parametrize(("name", "adjoint"), cells("yes"))
def test_what_works_is_right(name, adjoint, dtype):
    x = jnp.asarray(0.75, dtype)
    found = jax.jit(nested(name, functools.partial(end, name=adjoint)))(x)
    expected = nested(name, closed_form)(x)
    # Backsolve's gradient is that of the equation, and not of its steps.
    rtol = 0.05 if adjoint == "BacksolveAdjoint" else 50 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(found, expected, rtol=rtol)


@pytest.mark.parametrize(("name", "adjoint"), cells("no"))
def test_what_does_not_work_is_refused(name, adjoint, dtype):
    f = jax.jit(nested(name, functools.partial(end, name=adjoint)))
    with pytest.raises(UNDIFFERENTIABLE):
        f.lower(jnp.asarray(0.75, dtype))


def test_every_cell_is_yes_or_no():
    assert len(CELLS) == 6 * len(ADJOINTS) and set(CELLS.values()) == {"yes", "no"}
