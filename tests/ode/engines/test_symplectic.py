"""Symplectic solvers, as users reach them."""

from typing import NamedTuple

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import X64

DTYPE = jnp.float64 if X64 else jnp.float32
START = ode.Phase(q=jnp.ones(2, DTYPE), p=jnp.zeros(2, DTYPE))
METHOD = ode.Method(solver=ode.Yoshida4(), dt0=0.02)
RATE = jnp.asarray(1.3, DTYPE)


@ode.second_order
def pendulum(t, q, rate):
    return -rate * jnp.sin(q)


def solved(start=START, rate=RATE, method=METHOD, field=pendulum, running_cost=None, **times):
    problem = ode.Problem(start, **({"tspan": (0.0, 3.0)} | times))
    return ode.solve(field, problem, rate, method=method, running_cost=running_cost)


@pytest.mark.any_precision
def test_states_and_statistics_are_those_of_a_solve():
    times = (0.0, 0.77, 3.0)
    found = solved(ts=times, method=ode.Method(solver=ode.Yoshida4(), dt0=0.02, dense=True))
    other = solved(ts=times, method=ode.Method(rtol=1e-6, atol=1e-6))
    assert isinstance(found.ys, ode.Phase) and found.ys.q.dtype == DTYPE
    for one, same in zip(jax.tree.leaves(found.ys), jax.tree.leaves(other.ys), strict=True):
        np.testing.assert_allclose(one, same, atol=1e-5)
    assert found.result == ode.RESULTS.successful and found.final.next_step is None
    np.testing.assert_array_equal(found.final.u.q, found.ys.q[-1])
    assert found.stats.engine == lux.Static("symplectic")
    assert found.stats.why_not_lean == lux.Static("solver=Yoshida4()")
    counts = [int(found.stats[name]) for name in list(found.stats)[:4]]
    assert counts == [150, 150, 0, 3 * (150 + len(times))]
    np.testing.assert_allclose(found.stats.first_step, 0.02, rtol=1e-6)
    np.testing.assert_array_equal(found(0.77).q, found.ys.q[1])
    assert np.isnan(found(3.1).p).all()


@pytest.mark.any_precision
@pytest.mark.parametrize("dtype", ["bfloat16", "complex64"])
def test_dtypes_are_kept_and_sums_over_steps_are_exact(dtype):
    start = ode.Phase(q=jnp.ones(2, dtype), p=jnp.zeros(2, dtype))
    method = ode.Method(solver=ode.Leapfrog(), dt0=1e-3)
    found = solved(start, RATE.astype(dtype), method)
    exact = solved()
    assert found.ys.q.dtype == dtype
    real = jnp.finfo(dtype)
    assert found.ts.dtype == real.dtype
    error = np.abs(np.asarray(found.ys.q, complex) - np.asarray(exact.ys.q)).max()
    assert error < max(4 * float(real.eps), 1e-5)  # 3000 steps.


TUPLE = (START.q, START.p)
NAMED = ({"x": START.q, "y": START.p}, {"x": START.p, "y": START.q})


def damped(t, u, rate):
    return u[1], -u[0] - u[1]


def turning(t, u, rate):
    (q, p) = u
    return {"x": p["x"], "y": p["y"] + q["y"]}, {"x": q["x"], "y": -q["y"]}


def watched(t, u, rate):
    jax.debug.callback(lambda p: None, u[1])
    return u[1], -u[0]


def method_with(**options):
    return {"method": ode.Method(solver=ode.Leapfrog(), **({"dt0": 0.1} | options))}


REFUSED = {
    "damped": ({"field": damped, "start": TUPLE}, r"`Yoshida4` .*dp/dt depends on `p`. Compute"),
    "turning": ({"field": turning, "start": NAMED}, r"dq/dt depends on `q.y`"),
    "callback": ({"field": watched, "start": TUPLE}, r"depends on `p`. A callback, such as"),
    "array": ({"start": START.q, "field": lambda t, u, rate: -u}, r"a pair \(q, p\), got float"),
    "triple": ({"start": (*TUPLE, START.q), "field": damped}, r"a pair \(q, p\), got PyTreeDef"),
    "estimates": (method_with(estimates=True), r"no `estimates`, got True. Leave it out"),
    "adjoint": (method_with(adjoint=diffrax.DirectAdjoint()), "no `adjoint`, got DirectAdjoint"),
    "controller": (
        method_with(stepsize_controller=diffrax.PIDController(rtol=1e-3, atol=1e-3)),
        "no `stepsize_controller`",
    ),
    "cost": ({"running_cost": lambda t, u, du, rate: u.q.sum()}, "no `running_cost`"),
    "first_step": ({"method": METHOD, "first_step": 0.1}, "got a `first_step`"),
    "max_steps": (
        {"method": ode.Method(solver=ode.Yoshida6(), dt0=0.1, max_steps=2**30)},
        r"`max_steps` to be at most 306783378 with solver=Yoshida6\(\), got 1073741824",
    ),
}


@pytest.mark.any_precision
@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused(name):
    given, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        solved(**given)


@pytest.mark.any_precision
def test_the_length_of_steps_must_be_given():
    with pytest.raises(ValueError, match="Leapfrog has fixed steps; pass their size as `dt0`"):
        ode.Method(solver=ode.Leapfrog())


@pytest.mark.any_precision
def test_failed_solves_say_why():
    with pytest.raises(RuntimeError, match=r"max_steps=100 .* at t=1, after 100 .* lengthen `dt0`"):
        solved(method=ode.Method(solver=ode.Leapfrog(), dt0=0.01, max_steps=100))
    growing = ode.second_order(lambda t, q, rate: q**3)
    with pytest.raises(RuntimeError, match="grows without bound, .* at t=1.[89]"):
        solved(field=growing)
    found, slope = jax.jit(
        jax.value_and_grad(lambda q: solved(ode.Phase(q, q), field=growing).ys.q.sum())
    )(START.q)
    assert np.isnan([found, *slope]).all()


@pytest.mark.any_precision
def test_second_order_of_one_function_is_traced_once():
    traced = []

    def spring(t, q, rate):
        traced.append(t)
        return -rate * q

    one, other = ode.second_order(spring), ode.second_order(spring)
    assert one == other
    states = [solved(field=field) for field in (one, other)]
    count = len(traced)
    states += [solved(start=TUPLE, field=one), solved(field=one)]
    assert len(traced) == 2 * count  # Once more for a tuple.
    np.testing.assert_array_equal(states[1].ys.q, states[2].ys[0])
    with pytest.raises(TypeError, match="`second_order` expects `acceleration` to be a function"):
        ode.second_order(1.0)


class Pair(NamedTuple):
    place: float
    speed: float


@pytest.mark.any_precision
@pytest.mark.parametrize("form", [ode.Phase, Pair, lambda *pair: pair], ids=["Phase", "Pair", "()"])
def test_second_order_returns_the_form_of_the_state(form):
    falling = ode.second_order(lambda t, q, gravity: -gravity)
    found = falling(0.0, form(1.0, 2.0), 9.81)
    assert found == (2.0, -9.81) and type(found) is type(form(1.0, 2.0))


@pytest.mark.any_precision
def test_second_order_reads_the_inputs_of_a_problem():
    force = ode.Interpolated((0.0, 3.0), jnp.asarray([0.0, 3.0], DTYPE))
    falling = ode.second_order(lambda t, q, args, inputs: inputs.force(t) + 0 * q)
    problem = ode.Problem(START, tspan=(0.0, 3.0), inputs={"force": force})
    end = ode.solve(falling, problem, method=METHOD).final.u
    np.testing.assert_allclose(end.q, 1 + 3.0**3 / 6, rtol=1e-5)


class Chain(ode.ODELayer):
    """q'' is a network of q; its parameters are those of the layer."""

    force: nn.Dense
    tspan: tuple[float, float]

    def initial_parameters(self, key, dtype):
        return self.force.initial_parameters(key, dtype)

    def vector_field(self, ps, st):
        return lambda t, u: ode.Phase(u.p, self.force(u.q, ps, st)[0])


@pytest.mark.any_precision
def test_a_layer_takes_them_and_times_of_each_sample():
    layer = Chain(nn.Dense(2, 2), (0.0, 1.0), solver=ode.Leapfrog(), dt0=0.1, saveat=(0.5, 1.0))
    ps, st = lux.setup(jax.random.key(0), layer, dtype=DTYPE)
    ys, _ = layer(START, ps, st)
    assert ys.q.shape == (2, 2)
    batch = ode.Phase(*(jnp.stack([half, half]) for half in START))
    ends = jnp.asarray([0.5, 1.0], DTYPE)
    problem = ode.Problem(batch, tspan=(jnp.zeros(2, DTYPE), ends), ts=ends[:, None])
    each, _ = layer(problem, ps, st)
    np.testing.assert_allclose(each.q[:, 0], ys.q, rtol=1e-5)
