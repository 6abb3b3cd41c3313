import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision

OMEGA = 1.5


def oscillator(x):
    q, p = x[..., 0], x[..., 1]
    return p * p / 2 + OMEGA**2 * q * q / 2


def pendulum(x):
    q, p = jnp.split(x, 2, axis=-1)
    return jnp.sum(p * p / 2 - jnp.cos(q), axis=-1, keepdims=True)


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


@any_precision
def test_motion_of_the_pendulum_has_the_right_signs(dtype):
    model = nn.HamiltonianNN(nn.WrappedFunction(pendulum))
    x = jnp.asarray([0.3, -0.2, 1.0, 2.0], dtype)
    want = [1.0, 2.0, -math.sin(0.3), math.sin(0.2)]
    np.testing.assert_allclose(model(x, *made(model))[0], want, rtol=1e-6)


@any_precision
def test_batched_and_unbatched_agree(dtype):
    model = nn.HamiltonianNN(nn.Chain(nn.Dense(4, 8, nn.tanh), nn.Dense(8, 1)))
    ps, st = made(model, dtype)
    x = jax.random.normal(jax.random.key(1), (3, 2, 4), dtype)
    y, _ = model(x, ps, st)
    np.testing.assert_allclose(y[1, 0], model(x[1, 0], ps, st)[0], rtol=1e-5)
    assert list(ps) == ["layer_1", "layer_2"]


@needs_x64
def test_energy_is_conserved_along_the_flow_of_the_oscillator():
    model = nn.HamiltonianNN(nn.WrappedFunction(oscillator))
    ps, st = made(model)
    f = lambda x: model(x, ps, st)[0]
    h = 0.01

    def step(x, _):
        k1 = f(x)
        k2 = f(x + h / 2 * k1)
        k3 = f(x + h / 2 * k2)
        k4 = f(x + h * k3)
        return x + h / 6 * (k1 + 2 * (k2 + k3) + k4), None

    start = jnp.asarray([1.0, 0.5])
    end = jax.lax.scan(step, start, None, length=500)[0]
    np.testing.assert_allclose(oscillator(end), oscillator(start), rtol=1e-8)
    angle = OMEGA * 5.0
    want = math.cos(angle) + 0.5 / OMEGA * math.sin(angle)
    np.testing.assert_allclose(end[0], want, rtol=1e-7)


@needs_x64
def test_energy_of_a_network_does_not_change_along_its_motion():
    energy = nn.Chain(nn.Dense(4, 8, nn.tanh), nn.Dense(8, 1))
    model = nn.HamiltonianNN(energy)
    ps, st = made(model, jnp.float64)
    x = jax.random.normal(jax.random.key(1), (5, 4), jnp.float64)
    y, _ = model(x, ps, st)
    slope = jax.jvp(lambda x: energy(x, ps, st)[0], (x,), (y,))[1]
    assert jnp.abs(y).max() > 0.1
    np.testing.assert_allclose(slope, 0, atol=1e-15)


@needs_x64
def test_derivatives_nest_to_any_order_in_both_modes():
    model = nn.HamiltonianNN(nn.WrappedFunction(pendulum))
    ps, st = made(model)
    force = lambda q: model(jnp.stack([q, jnp.asarray(0.5)]), ps, st)[0][1]
    q = jnp.asarray(0.3)
    for nest in (jax.grad, jax.jacfwd):
        first = nest(force)
        third = functools.reduce(lambda f, n: n(f), [jax.grad, nest, jax.jacfwd], force)
        found = jax.jit(lambda q, first=first, third=third: (first(q), third(q)))(q)
        np.testing.assert_allclose(found, [-math.cos(0.3), math.cos(0.3)], rtol=1e-14)


@any_precision
def test_divergence_of_the_motion_is_zero(dtype):
    model = nn.HamiltonianNN(nn.Chain(nn.Dense(2, 8, nn.tanh), nn.Dense(8, 1)))
    ps, st = made(model, dtype)
    jacobian = jax.jacobian(lambda x: model(x, ps, st)[0])(jnp.asarray([0.2, 0.4], dtype))
    np.testing.assert_allclose(jnp.trace(jacobian), 0, atol=4 * jnp.finfo(dtype).eps)


@any_precision
def test_state_of_the_model_is_carried_and_keeps_its_structure():
    model = nn.HamiltonianNN(
        nn.Chain(nn.Dense(2, 8, nn.tanh), nn.Dropout(0.5), nn.BatchNorm(8, nn.tanh), nn.Dense(8, 1))
    )
    ps, st = made(model)
    x = jax.random.normal(jax.random.key(1), (4, 2), jnp.float32)
    y, new = jax.jit(model)(x, ps, st)
    assert lux.core.internal.first_difference(st, new) is None
    assert (jax.random.key_data(new.layer_2.rng) != jax.random.key_data(st.layer_2.rng)).any()
    assert (new.layer_3.running_mean != st.layer_3.running_mean).any()
    ys = jax.lax.scan(lambda st, _: model(x, ps, st)[::-1], st, None, length=3)[1]
    np.testing.assert_allclose(ys[0], y, rtol=1e-3, atol=1e-5)
    assert (ys[1] != ys[0]).any()


@needs_x64
@pytest.mark.parametrize(("of_x", "of_ps"), [("float32", "float64"), ("float64", "float32")])
def test_motion_is_as_wide_as_input_and_parameters(of_x, of_ps):
    model = nn.HamiltonianNN(nn.Dense(2, 1, nn.tanh))
    ps, st = made(model, of_ps)
    x = jnp.asarray([0.1, 0.2], of_x)
    y, _ = model(x, ps, st)
    wide = jax.tree.map(lambda a: a.astype(jnp.float64), ps)
    assert y.dtype == jnp.float64
    np.testing.assert_allclose(y, model(x.astype(jnp.float64), wide, st)[0], rtol=1e-15)


def test_odd_size_is_an_error():
    model = nn.HamiltonianNN(nn.Dense(3, 1))
    with pytest.raises(ValueError, match=r"`HamiltonianNN` expects the last .* even, .* \(5, 3\)"):
        model(jnp.ones((5, 3), jnp.float32), *made(model))


@pytest.mark.parametrize(
    ("energy", "got"),
    [
        (nn.Dense(2, 2), r"\(5, 2\)"),
        (nn.WrappedFunction(jnp.sum), r"\(\)"),
        (nn.WrappedFunction(lambda x: (x[:, 0], x[:, 1])), r"\(\(5,\), \(5,\)\)"),
    ],
)
def test_energy_that_is_not_one_number_for_each_member_is_an_error(energy, got):
    model = nn.HamiltonianNN(energy)
    text = rf"one number for each member of the batch, of shape \(5, 1\) or \(5,\), got {got}"
    with pytest.raises(ValueError, match=text):
        model(jnp.ones((5, 2), jnp.float32), *made(model))


def test_integer_input_and_complex_energy_are_errors():
    model = nn.HamiltonianNN(nn.WrappedFunction(oscillator))
    with pytest.raises(TypeError, match="`x` to be real and floating, got int32. Convert"):
        model(jnp.ones(2, jnp.int32), *made(model))
    model = nn.HamiltonianNN(nn.WrappedFunction(lambda x: jax.lax.complex(x[..., 0], x[..., 1])))
    with pytest.raises(TypeError, match="`HamiltonianNN` expects `model` to be real, got complex"):
        model(jnp.ones(2, jnp.float32), *made(model))
