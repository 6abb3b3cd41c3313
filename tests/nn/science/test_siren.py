import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn
from tests.conftest import needs_x64


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def test_sine_dense_is_the_sine_of_omega_times_the_affine_map(dtype):
    layer = nn.SineDense(2, 1, 3.0)
    ps = lux.Record(weight=jnp.asarray([[0.5, 0.25]], dtype), bias=jnp.asarray([0.125], dtype))
    y, _ = layer(jnp.asarray([1.0, -1.0], dtype), ps, lux.Record())
    np.testing.assert_allclose(y, [math.sin(3 * 0.375)], rtol=4 * jnp.finfo(dtype).eps)
    assert nn.SineDense(2, 1).omega == 30.0


@pytest.mark.parametrize("omega", [30.0, 1.0])
def test_sine_dense_starts_within_the_bounds_of_the_paper(omega):
    first = made(nn.SineDense(25, 400, omega, is_first=True))[0]
    later = made(nn.SineDense(25, 400, omega))[0]
    for weight, bound in ((first.weight, 1 / 25), (later.weight, math.sqrt(6 / 25) / omega)):
        assert 0.98 * bound < jnp.abs(weight).max() <= bound * (1 + 1e-6)
    assert 0.9 / 5 < jnp.abs(later.bias).max() <= (1 + 1e-6) / 5


def test_sine_dense_without_bias_and_with_initialisers_of_ones_own():
    layer = nn.SineDense(2, 3, use_bias=False, init_weight=initializers.ones)
    ps, st = made(layer)
    assert list(ps) == ["weight"] and (ps.weight == 1).all()
    assert layer(jnp.ones(2, jnp.float32), ps, st)[0].shape == (3,)


def test_siren_is_sine_layers_and_a_dense_one():
    model = nn.SIREN(2, (5, 4), 3, omega_first=10.0, omega=20.0)
    *sines, last = model.chain
    assert sines == [nn.SineDense(2, 5, 10.0, is_first=True), nn.SineDense(5, 4, 20.0)]
    bound = math.sqrt(6 / 4) / 20
    assert last == nn.Dense(4, 3, init_weight=initializers.uniform(bound=bound))
    assert (nn.SIREN(2, [5], 3).omega_first, nn.SIREN(2, [5], 3).omega) == (30.0, 30.0)


def test_siren_activations_start_with_variance_one_half_at_every_depth():
    model = nn.SIREN(1, (256, 256, 256), 1)
    ps, st = made(model)
    x = jnp.linspace(-1.0, 1.0, 256, dtype=jnp.float32)[:, None]
    for depth in (2, 3):
        hidden, _ = model.chain[:depth](x, ps, st)
        assert abs(float(hidden.var()) - 0.5) < 0.07


@needs_x64
def test_laplacian_of_a_siren_is_the_analytic_one():
    model = nn.SIREN(2, (8,), 1, omega_first=3.0)
    ps, st = made(model, jnp.float64)
    u = lambda x: model(x, ps, st)[0][0]
    x = jnp.asarray([0.3, -0.4])
    weight, out = ps.layer_1.weight, ps.layer_2.weight[0]
    waves = jnp.sin(3.0 * (weight @ x + ps.layer_1.bias))
    want = -jnp.sum(out * 9.0 * jnp.sum(weight**2, axis=-1) * waves)
    np.testing.assert_allclose(jnp.trace(jax.hessian(u)(x)), want, rtol=1e-13)
    gradient = 3.0 * (out * jnp.cos(3.0 * (weight @ x + ps.layer_1.bias))) @ weight
    np.testing.assert_allclose(jax.grad(u)(x), gradient, rtol=1e-13)


@pytest.mark.parametrize(
    ("build", "error", "text"),
    [
        (
            lambda: nn.SineDense(2, 3, 0.0),
            ValueError,
            "`SineDense` expects `omega` to be a number above 0",
        ),
        (
            lambda: nn.SineDense(2, 0),
            ValueError,
            "`SineDense` expects `out_dims` to be an integer of at least 1",
        ),
        (lambda: nn.SineDense(2.0, 1), TypeError, "`SineDense` expects `in_dims` to be an integer"),
        (
            lambda: nn.SIREN(2, (), 1),
            ValueError,
            "`SIREN` expects `hidden_dims` to be at least one",
        ),
        (
            lambda: nn.SIREN(2, (3,), 0),
            ValueError,
            "`SIREN` expects `out_dims` to be an integer of at least 1",
        ),
        (
            lambda: nn.SIREN(2, (3,), 1, omega=-1.0),
            ValueError,
            "`omega` to be a number above 0, got -1.0",
        ),
    ],
)
def test_bad_arguments_are_errors(build, error, text):
    with pytest.raises(error, match=text):
        build()


@pytest.mark.parametrize("model", [nn.SineDense(2, 3), nn.SIREN(2, (3,), 1)])
def test_wrong_feature_size_is_an_error(model):
    with pytest.raises(ValueError, match=r"`x` to be 2 \(`in_dims`\), got shape \(5, 3\). Pass"):
        model(jnp.ones((5, 3), jnp.float32), *made(model))
