import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn
from tests.conftest import needs_x64


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def test_scale_computes_activation_of_affine_map_by_hand(dtype):
    ps = lux.Record(
        weight=jnp.asarray([[1.0, -2.0], [0.5, 3.0]], dtype),
        bias=jnp.asarray([[0.0, 1.0], [1.0, -1.0]], dtype),
    )
    x = jnp.asarray([[[1.0, 1.0], [2.0, 2.0]], [[-1.0, -1.0], [0.0, 0.0]]], dtype)
    y, _ = nn.Scale(2, 2, activation=nn.relu)(x, ps, lux.Record())
    assert y.tolist() == [[[1.0, 0.0], [2.0, 5.0]], [[0.0, 3.0], [1.0, 0.0]]]


def test_scale_starts_as_the_identity(dtype):
    layer = nn.Scale(3)
    ps, st = made(layer, dtype)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 3)), dtype)
    np.testing.assert_array_equal(layer(x, ps, st)[0], x)
    np.testing.assert_array_equal(layer(x[0, 0], ps, st)[0], x[0, 0])


def test_scale_uses_the_initialisers_it_is_given():
    layer = nn.Scale(2, 3, init_weight=initializers.zeros, init_bias=initializers.ones)
    ps, _ = made(layer)
    assert ps.weight.shape == ps.bias.shape == (2, 3)
    assert (ps.weight == 0).all() and (ps.bias == 1).all()
    assert list(made(nn.Scale(2, use_bias=False))[0]) == ["weight"]


def test_scale_prints_what_one_would_type():
    assert repr(nn.Scale(2, 3)) == "Scale(2, 3)"
    want = "Scale(3, activation=tanh, use_bias=False)"
    assert repr(nn.Scale(3, activation=nn.tanh, use_bias=False)) == want


@needs_x64
def test_scale_of_mixed_dtypes_is_as_wide_as_the_wider():
    layer = nn.Scale(2)
    assert layer(jnp.ones(2, jnp.float64), *made(layer))[0].dtype == jnp.float64


@pytest.mark.parametrize("shape", [(4, 2), (3,), (), (3, 2), (1, 1, 3)])
def test_scale_of_another_shape_is_an_error(shape):
    layer = nn.Scale(2, 3)
    text = r"the last axes of `x` to be \(2, 3\) \(`dims`\), got shape \("
    with pytest.raises(ValueError, match=text):
        layer(jnp.ones(shape, jnp.float32), *made(layer))


def test_scale_refuses_what_it_cannot_mean():
    for dims in (("2",), (2.0,), (nn.tanh,), ((2, 3),)):
        with pytest.raises(TypeError, match=r"`Scale` expects `dims` to be an integer .* Write"):
            nn.Scale(*dims)
    with pytest.raises(TypeError, match="`activation` to be a function, got 'tanh'. Write"):
        nn.Scale(2, activation="tanh")
    with pytest.raises(ValueError, match="one or more sizes, got none"):
        nn.Scale()
    with pytest.raises(ValueError, match="`dims` to be an integer of at least 0, got -1"):
        nn.Scale(2, -1)
    layer = nn.Scale(2)
    with pytest.raises(TypeError, match="expects `x` to be an array, got str"):
        layer("x", *made(layer))
    with pytest.raises(
        ValueError, match=r"the parameter `weight` to be \(2,\) .* got shape \(3,\)"
    ):
        layer(jnp.ones(2, jnp.float32), *made(nn.Scale(3)))
