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


def test_output_is_that_of_the_product_of_scales_and_directions(dtype):
    layer = nn.RandomWeightFactorization(2, 3, nn.tanh)
    ps = lux.Record(
        log_scale=jnp.log(jnp.asarray([1.0, 2.0, 0.5], dtype)),
        direction=jnp.asarray([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]], dtype),
        bias=jnp.asarray([0.5, 0.0, -1.0], dtype),
    )
    y, _ = layer(jnp.asarray([1.0, -2.0], dtype), ps, lux.Record())
    want = np.tanh([1.0 * -3.0 + 0.5, 2.0 * 2.0, 0.5 * 2.0 - 1.0])
    np.testing.assert_allclose(y, want, rtol=1e-6)


@pytest.mark.parametrize(("mean", "stddev"), [(1.0, 0.1), (0.5, 0.3)])
def test_product_starts_as_the_initialiser_says_whatever_the_scales(mean, stddev):
    layer = nn.RandomWeightFactorization(40, 400, mean=mean, stddev=stddev)
    ps, _ = made(layer)
    weight = jnp.exp(ps.log_scale)[:, None] * ps.direction
    bound = math.sqrt(6 / 440)
    assert 0.98 * bound < jnp.abs(weight).max() <= bound * (1 + 1e-5)
    assert abs(float(ps.log_scale.mean()) - mean) < 4 * stddev / 20
    assert abs(float(ps.log_scale.std()) - stddev) < 0.15 * stddev
    assert (ps.bias == 0).all()


def test_defaults_are_those_of_the_paper():
    layer = nn.RandomWeightFactorization(2, 3)
    assert (layer.mean, layer.stddev) == (1.0, 0.1)
    assert layer.init_weight == initializers.glorot_uniform
    assert list(made(nn.RandomWeightFactorization(2, 3, use_bias=False))[0])[-1] == "direction"


@needs_x64
def test_a_step_of_descent_moves_each_row_by_its_own_rate():
    layer = nn.RandomWeightFactorization(2, 3, use_bias=False)
    ps, st = made(layer, jnp.float64)
    x = jnp.asarray([0.3, -0.7])
    grads = jax.grad(lambda ps: jnp.sum(layer(x, ps, st)[0]))(ps)
    scale = jnp.exp(ps.log_scale)
    np.testing.assert_allclose(grads.direction, scale[:, None] * x[None], rtol=1e-14)
    np.testing.assert_allclose(grads.log_scale, scale * (ps.direction @ x), rtol=1e-14)


@needs_x64
def test_product_of_narrow_parameters_with_wide_input_is_formed_wide():
    layer = nn.RandomWeightFactorization(2, 3)
    ps, st = made(layer, jnp.float32)
    x = jnp.asarray([0.1, 0.2], jnp.float64)
    wide = jax.tree.map(lambda a: a.astype(jnp.float64), ps)
    np.testing.assert_array_equal(layer(x, ps, st)[0], layer(x, wide, st)[0])


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((2, 0), {}, ValueError, "`out_dims` to be an integer of at least 1, got 0"),
        (("2", 1), {}, TypeError, "`in_dims` to be an integer.*, got '2'"),
        ((2, 2), {"stddev": -1.0}, ValueError, "`stddev` to be a number of at least 0, got -1.0"),
    ],
)
def test_bad_arguments_are_errors(arguments, options, error, text):
    with pytest.raises(error, match=f"`RandomWeightFactorization` expects {text}"):
        nn.RandomWeightFactorization(*arguments, **options)


def test_wrong_feature_size_is_an_error():
    layer = nn.RandomWeightFactorization(2, 3)
    with pytest.raises(ValueError, match=r"`x` to be 2 \(`in_dims`\), got shape \(5, 3\). Pass"):
        layer(jnp.ones((5, 3), jnp.float32), *made(layer))
