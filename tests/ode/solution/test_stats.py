"""The statistics of a solve: what it took, against a field that counts on the host."""

import collections

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import X64

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]

DTYPE = jnp.float64 if X64 else jnp.float32
COUNTED = collections.Counter()
TSPAN = (0.0, 4.0)
INSIDE = tuple(np.linspace(0.0, 4.0, 5))


def counting(t, u, rate):
    jax.debug.callback(lambda t: COUNTED.update(["field"]), t)
    return jnp.stack([u[1], rate * (1 - u[0] ** 2) * u[1] - u[0]])


class Counting(lux.Layer):
    def __call__(self, u, ps, st):
        return counting(jnp.zeros((), u.dtype), u, jnp.asarray(2.0, u.dtype)), st


def counted(solve):
    COUNTED.clear()
    solution = jax.block_until_ready(solve())
    jax.effects_barrier()
    return solution, COUNTED["field"]


def of_function(saveat=None, rate=2.0, **options):
    u0 = jnp.asarray([2.0, 0.0], DTYPE)
    problem = ode.Problem(u0, ts=saveat, tspan=TSPAN)
    method = ode.Method(throw=False, **{"rtol": 1e-4, "atol": 1e-4, **options})
    return ode.solve(counting, problem, jnp.asarray(rate, DTYPE), method=method)


def of_layer(**options):
    node = ode.NeuralODE(Counting(), TSPAN, throw=False, rtol=1e-4, atol=1e-4, **options)
    return node.solve(jnp.asarray([2.0, 0.0], DTYPE), *lux.setup(0, node, dtype=DTYPE))[0]


@pytest.mark.parametrize(
    ("solve", "options"),
    [
        (of_function, {}),
        (of_function, {"saveat": INSIDE, "solver": ode.Vern7()}),
        (of_function, {"solver": diffrax.Heun(), "dt0": 3.0}),
        (of_function, {"solver": diffrax.Euler(), "dt0": 0.25, "saveat": INSIDE}),
        (of_function, {"max_steps": 3}),
        (of_layer, {"saveat": INSIDE}),
        (of_layer, {"state_policy": "frozen", "dt0": 3.0}),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_evaluations_are_those_that_a_counting_field_sees(solve, options):
    solution, count = counted(lambda: solve(**options))
    stats = solution.stats
    assert int(stats.num_field_evaluations) == count > 10
    assert int(stats.num_steps) == int(stats.num_accepted_steps + stats.num_rejected_steps)
    assert (stats.engine, stats.why_not_lean) == (lux.Static("lean"), lux.Static(""))
    if options.get("dt0") == 3.0:
        assert int(stats.num_rejected_steps) > 0


def test_evaluations_of_a_batch_are_those_of_its_members():
    rates = jnp.asarray([0.1, 1.0, 4.0], DTYPE)
    solve = lambda rate: of_function(saveat=jnp.asarray(INSIDE, DTYPE), rate=rate).stats
    together = jax.vmap(solve)(rates).num_field_evaluations
    assert together.tolist() == [int(solve(rate).num_field_evaluations) for rate in rates]
    assert len(set(together.tolist())) == 3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"solver": diffrax.Kvaerno5()}, "solver=Kvaerno5("),
        ({"adjoint": diffrax.DirectAdjoint()}, "adjoint=DirectAdjoint"),
        ({"stepsize_controller": diffrax.PIDController(1e-3, 1e-3, dtmax=0.1)}, "PIDController"),
    ],
    ids=str,
)
def test_reason_for_diffrax_is_told(options, reason):
    node = ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0), **options)
    solution, _ = jax.eval_shape(node.solve, jnp.ones(1, DTYPE), *lux.setup(0, node, dtype=DTYPE))
    assert solution.stats.engine.value == "diffrax" and reason in solution.stats.why_not_lean.value
    assert solution.stats.num_field_evaluations is None
