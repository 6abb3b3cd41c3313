"""The programs of solves and their gradients keep the dtype of the state, with every solver."""

import diffrax
import jax
import jax.numpy as jnp
import optimistix
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode, precision
from tests.conftest import needs_x64, slow

pytestmark = needs_x64
MODEL = nn.Chain(nn.Dense(2, 6, nn.tanh), nn.Dense(6, 2))
EXPLICIT = [diffrax.Euler(), diffrax.Heun(), diffrax.Midpoint(), diffrax.Ralston(), diffrax.Bosh3(),
            diffrax.Tsit5(), diffrax.Dopri5(), ode.Vern7(), ode.Vern9()]  # fmt: skip
NEWTON = diffrax.with_stepsize_controller_tols(optimistix.Newton)(cauchy_termination=False)
OTHERS = [diffrax.Dopri8(), diffrax.Kvaerno3(), diffrax.Kvaerno4(), diffrax.Kvaerno5(),
          diffrax.Kvaerno5(root_finder=NEWTON), diffrax.ImplicitEuler(), diffrax.ReversibleHeun(),
          diffrax.LeapfrogMidpoint(), diffrax.HalfSolver(diffrax.Euler())]  # fmt: skip
ADJOINTS = [diffrax.DirectAdjoint(), diffrax.BacksolveAdjoint(), diffrax.ForwardMode()]
CHECKPOINTED = diffrax.RecursiveCheckpointAdjoint()


def slow_but(quick, solvers, *rest):
    """Cases of each solver; most of them take seconds to trace."""
    return [
        pytest.param(s, *rest, id=type(s).__name__, marks=() if isinstance(s, quick) else slow)
        for s in solvers
    ]


def audited(solver, adjoint, dtype):
    node = ode.NeuralODE(MODEL, (0.0, 1.0), saveat=(0.0, 0.3, 1.0), solver=solver, adjoint=adjoint,
                         dt0=0.1, throw=False)  # fmt: skip
    ps, st = lux.setup(jax.random.key(0), node, dtype=dtype)
    return precision.audit(lambda u, ps: node(u, ps, st)[0], jnp.ones(2, dtype), ps, grads=1)


@pytest.mark.parametrize(
    ("solver", "adjoint"),
    [
        *slow_but((diffrax.Tsit5, diffrax.Dopri8), [*EXPLICIT, *OTHERS], None),
        *slow_but((), EXPLICIT, CHECKPOINTED),
        *[case for adjoint in ADJOINTS for case in slow_but((), [diffrax.Tsit5()], adjoint)],
    ],
)
def test_no_digit_of_float64_is_lost(solver, adjoint):
    report = audited(solver, adjoint, "float64")
    assert not report.failures, report
    assert len(report.skipped) < 2  # Some adjoints have only one of the two modes.


@pytest.mark.parametrize("solver", slow_but((diffrax.Tsit5, ode.Vern7), EXPLICIT))
def test_lean_solve_in_float32_has_no_float64(solver):
    report = audited(solver, None, "float32")
    assert not report.findings, report


@slow
@pytest.mark.parametrize(
    "solver", [s for s in [*EXPLICIT, *OTHERS] if not isinstance(s, diffrax.Dopri5)]
)
def test_solve_on_diffrax_in_float32_has_no_float64_but_constants(solver):
    # Some scalars of diffrax, an infinity and by how much a step may change, are Python numbers.
    # Dopri5, left out, interpolates with float64 weights.
    report = audited(solver, CHECKPOINTED, "float32")
    widened = [f for f in report.findings if f.kind == "widening" and f.detail[:7] != "nothing"]
    assert not report.failures and not widened, report
