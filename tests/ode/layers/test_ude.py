import dataclasses

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode, training
from tests.conftest import needs_x64

EULER = {"solver": diffrax.Euler(), "dt0": 0.5}


def known(t, u, physics, terms):
    return physics.growth * u - terms.loss(u) + physics.shift


def model(**options):
    physics = {"growth": ode.Positive(0.5), "shift": 0.25}
    return ode.UDE(known, {"loss": nn.Dense(2, 2)}, (0.0, 1.0), physics, **(EULER | options))


def test_parameters_lie_side_by_side_in_the_dtype_asked_for(dtype):
    ps, st = lux.setup(jax.random.key(0), model(), dtype=dtype)
    assert list(ps) == ["physics", "terms"] and list(ps.physics) == ["growth", "shift"]
    assert ps.terms.loss.weight.shape == (2, 2)
    assert {leaf.dtype for leaf in jax.tree.leaves(ps)} == {dtype}
    assert list(st) == ["terms"] and lux.parameter_length(model()) == 8


def test_positive_parameter_is_trained_as_its_logarithm(dtype):
    ps, _ = lux.setup(jax.random.key(0), model(), dtype=dtype)
    np.testing.assert_allclose(ps.physics.growth, np.log(0.5), rtol=1e-6)
    values = model().physical_parameters(ps)
    np.testing.assert_allclose([values.growth, values.shift], [0.5, 0.25], rtol=1e-6)
    far = ps | {"physics": ps.physics | {"growth": jnp.asarray(-50.0, dtype)}}
    assert model().physical_parameters(far).growth > 0


def test_flow_is_known_part_plus_term(dtype):
    ude = model()
    ps, st = lux.setup(jax.random.key(0), ude, dtype=dtype)
    u = jnp.asarray([1.0, -2.0], dtype)
    weight, bias = ps.terms.loss.weight, ps.terms.loss.bias
    want = u
    for _ in range(2):
        want = want + 0.5 * (0.5 * want - (weight @ want + bias) + 0.25)
    np.testing.assert_allclose(ude(u, ps, st)[0], want, rtol=1e-5)


def test_term_gives_what_was_learned_for_one_state_or_many(dtype):
    ude = model()
    ps, st = lux.setup(jax.random.key(0), ude, dtype=dtype)
    u = jnp.asarray([[1.0, -2.0], [0.0, 3.0]], dtype)
    many = ude.term("loss", u, ps, st)
    np.testing.assert_allclose(many, nn.Dense(2, 2)(u, ps.terms.loss, lux.Record())[0])
    np.testing.assert_allclose(ude.term("loss", u[0], ps, st), many[0], rtol=1e-6)


@needs_x64
def test_physics_and_network_are_recovered_from_exact_data():
    """u' = 0.8 u - 0.3 u: the rate is known to be a number above 0, the loss is learned."""

    def field(t, u, physics, terms):
        return physics.growth * u - terms.loss(u)

    times = (0.0, 0.5, 1.0, 1.5)
    ude = ode.UDE(
        field,
        {"loss": nn.Dense(1, 1)},
        (0.0, 1.5),
        {"growth": ode.Positive(0.5)},
        saveat=times,
        solver=diffrax.Heun(),
        stepsize_controller=diffrax.ConstantStepSize(),
        dt0=0.125,
        max_steps=32,
    )
    ps, st = lux.setup(jax.random.key(1), ude, dtype=jnp.float64)

    def objective(ude, ps, st, data):
        us = jax.vmap(lambda u0: ude(u0, ps, st)[0])(data[0])
        return jnp.mean((us - data[1]) ** 2), st, {}

    u0 = jnp.asarray([[0.5], [1.0], [2.0]])
    data = u0, u0[:, None] * jnp.exp(0.5 * jnp.asarray(times))[None, :, None]
    tstate = training.TrainState(ude, ps, st, optax.adam(3e-2))
    result = training.fit(tstate, objective, data, steps=400, progress=False)
    ps = result.tstate.parameters
    net_rate = ude.physical_parameters(ps).growth - ps.terms.loss.weight[0, 0]
    np.testing.assert_allclose(net_rate, 0.5, rtol=1e-2)
    longer = dataclasses.replace(ude, tspan=(0.0, 3.0), saveat=(3.0,))
    forecast, _ = longer(jnp.asarray([1.0]), ps, st)
    np.testing.assert_allclose(forecast[0], np.exp(1.5), rtol=2e-2)


def test_unknown_term_lists_the_known(dtype):
    ps, st = lux.setup(jax.random.key(0), model(), dtype=dtype)
    with pytest.raises(KeyError, match="`UDE` has no term `gain`; it has `loss`"):
        model().term("gain", jnp.ones(2, dtype), ps, st)


def test_term_that_is_no_layer_is_an_error():
    with pytest.raises(TypeError, match="`UDE` expects the term `loss` to be a layer, got 3"):
        ode.UDE(known, {"loss": 3}, (0.0, 1.0))


def test_physics_that_is_no_number_is_an_error():
    with pytest.raises(
        TypeError, match=r"`growth` to be a number, an array of numbers, .*, got 'x'"
    ):
        ode.UDE(known, {"loss": nn.Dense(1, 1)}, (0.0, 1.0), {"growth": "x"})


def test_terms_without_names_are_an_error():
    with pytest.raises(TypeError, match="`UDE` expects `terms` to be a dict by name, got Dense"):
        ode.UDE(known, nn.Dense(1, 1), (0.0, 1.0))


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_positive_of_a_value_not_above_zero_is_an_error(value):
    with pytest.raises(
        ValueError, match="`Positive` expects `initial` to be (a number above 0|finite), got"
    ):
        ode.Positive(value)
