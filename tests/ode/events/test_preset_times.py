"""Preset times: doses whose sum is known in closed form, and derivatives by their times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode, setup
from tests.conftest import X64, needs_x64, slow
from tests.ode.events.systems import CLOSE, METHOD, METHODS, array

RATE = array(0.5)


def decays(t, u, rate):
    return -rate * u


def dose(t, u, rate):
    return u + 1


def dosed(times, rate=RATE, method=METHOD, ts=None):
    problem = ode.Problem(array(0.0), ts=ts, tspan=(0.0, 3.0))
    events = (ode.PresetTimes(times, dose),)
    return ode.solve(decays, problem, rate, method=method, events=events)


def closed(times, rate=RATE):
    return jnp.sum(jnp.exp(-rate * (3 - times)))


def test_doses_at_the_ends_and_outside_in_any_order():
    found = dosed([2.0, 0.0, 3.0, 7.0, np.inf], ts=(0.0, 1.0, 3.0))
    at_end = np.exp(-0.5 * 3) + np.exp(-0.5) + 1
    np.testing.assert_allclose(found.final.u, at_end, **CLOSE)
    np.testing.assert_allclose(found.ys, [1, np.exp(-0.5), at_end], **CLOSE)
    np.testing.assert_allclose(found.events.times[:3], [0, 2, 3], **CLOSE)
    assert int(found.events.count) == 3
    np.testing.assert_allclose(found.events.after[:3] - found.events.before[:3], 1, **CLOSE)


def test_other_times_compile_nothing_anew(caplog):
    dosed([0.5, 1.0])
    with jax.log_compiles():
        found = dosed([1.5, 1.0])
    np.testing.assert_allclose(found.final.u, closed(array([1.5, 1.0])), **CLOSE)
    assert not [record for record in caplog.records if "compiled" in record.message.lower()]


def test_derivatives_by_traced_times_and_rate():
    times = array([1.0, 0.5])
    found = jax.jit(jax.grad(lambda *args: dosed(*args).final.u, (0, 1)))(times, RATE)
    wanted = jax.grad(closed, (0, 1))(times, RATE)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8 if X64 else 1e-4)


@slow
@needs_x64
def test_hessian_by_traced_times():
    times = array([1.0, 0.5])
    found = jax.jit(jax.hessian(lambda times: dosed(times).final.u))(times)
    np.testing.assert_allclose(found, jax.hessian(closed)(times), atol=1e-9)


@slow
def test_diffrax_differentiates_by_the_times():
    times, method = array([1.0, 0.5]), METHODS["explicit"]
    found = jax.jit(jax.grad(lambda times: dosed(times, method=method).final.u))(times)
    np.testing.assert_allclose(found, jax.grad(closed)(times), rtol=1e-7 if X64 else 1e-3)


@slow
def test_layer_with_times_that_are_parameters():
    class Pump(ode.ODELayer):
        tspan: tuple[float, float]

        def initial_parameters(self, key, dtype):
            times, rate = jnp.asarray([0.5, 1.0], dtype), jnp.asarray(0.5, dtype)
            return lux.Record(times=times, rate=rate)

        def vector_field(self, ps, st):
            return lambda t, u: -ps.rate * u

    pump = Pump((0.0, 3.0), events=(ode.PresetTimes(lambda ps: ps.times, dose),))
    ps, st = setup(0, pump, dtype=RATE.dtype)
    grads = jax.jit(jax.grad(lambda ps: pump(array(0.0), ps, st)[0]))(ps)
    wanted = jax.grad(closed, (0, 1))(ps.times, ps.rate)
    np.testing.assert_allclose(grads.times, wanted[0], rtol=1e-4)
    np.testing.assert_allclose(grads.rate, wanted[1], rtol=1e-4)


def test_layer_refuses_traced_times():
    def build(times):
        return ode.NeuralODE(nn.Dense(1, 1), (0.0, 1.0), events=(ode.PresetTimes(times, dose),))

    with pytest.raises(TypeError, match=r"expects the `ts` of its `PresetTimes` to be known"):
        jax.jit(build)(array([1.0]))


def test_time_that_is_not_a_number_is_an_error():
    with pytest.raises(RuntimeError, match=r"a preset time is not a number. Look at where"):
        dosed(lambda rate: array([1.0, np.nan]))
