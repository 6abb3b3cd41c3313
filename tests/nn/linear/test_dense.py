import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn, precision
from tests.conftest import needs_x64


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def test_dense_computes_activation_of_affine_map(dtype):
    ps = lux.Record(
        weight=jnp.asarray([[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]], dtype),
        bias=jnp.asarray([0.5, 0.0, -1.0], dtype),
    )
    x = jnp.asarray([1.0, -2.0], dtype)
    y, _ = nn.Dense(2, 3, nn.relu)(x, ps, lux.Record())
    np.testing.assert_array_equal(y, [0.0, 2.0, 1.0])


def test_dense_takes_any_leading_axes(dtype):
    layer = nn.Dense(2, 3)
    ps, st = made(layer, dtype)
    x = jnp.ones((4, 5, 2), dtype)
    np.testing.assert_array_equal(layer(x, ps, st)[0][1, 2], layer(x[0, 0], ps, st)[0])


@pytest.mark.parametrize(
    ("activation", "gain"),
    [(nn.identity, 1.0), (nn.sigmoid, 1.0), (nn.relu, 2**0.5), (nn.tanh, 5 / 3), (nn.selu, 0.75)],
)
def test_dense_starts_within_the_bounds_of_its_activation(activation, gain):
    ps, _ = made(nn.Dense(16, 400, activation))
    bound = gain * (3 / 16) ** 0.5
    assert 0.98 * bound < jnp.abs(ps.weight).max() <= bound * (1 + 1e-6)
    assert 0.9 * 0.25 < jnp.abs(ps.bias).max() <= 0.25


def test_dense_without_bias_has_one_parameter_array():
    layer = nn.Dense(2, 3, use_bias=False)
    assert list(made(layer)[0]) == ["weight"]


def test_dense_uses_the_initialisers_it_is_given():
    layer = nn.Dense(2, 3, init_weight=initializers.ones, init_bias=initializers.zeros)
    ps, _ = made(layer)
    assert (ps.weight == 1).all() and (ps.bias == 0).all()


@pytest.mark.parametrize("dims", [(0, 3), (3, 0)])
def test_dense_of_zero_width_is_allowed(dims):
    layer = nn.Dense(*dims)
    ps, st = made(layer)
    y, _ = layer(jnp.ones((2, dims[0]), jnp.float32), ps, st)
    assert y.shape == (2, dims[1]) and jnp.isfinite(y).all()


def test_dense_of_an_empty_batch_is_empty():
    layer = nn.Dense(2, 3)
    y, _ = layer(jnp.ones((0, 2), jnp.float32), *made(layer))
    assert y.shape == (0, 3)


def test_dense_of_complex_parameters_is_complex():
    layer = nn.Dense(2, 3)
    ps, st = made(layer, jnp.complex64)
    assert ps.weight.dtype == jnp.complex64 and jnp.abs(ps.weight.imag).max() > 0
    assert layer(jnp.ones(2, jnp.complex64), ps, st)[0].dtype == jnp.complex64


@needs_x64
@pytest.mark.parametrize(("of_ps", "of_x"), [("float32", "float64"), ("float64", "float32")])
def test_dense_of_mixed_dtypes_is_as_wide_as_the_wider(of_ps, of_x):
    layer = nn.Dense(2, 3)
    ps, st = made(layer, of_ps)
    x = jnp.asarray([0.1, 0.2], of_x)
    y, _ = layer(x, ps, st)
    wide = np.asarray(ps.weight, np.float64) @ np.asarray(x, np.float64)
    assert y.dtype == jnp.float64
    np.testing.assert_allclose(y, wide + np.asarray(ps.bias, np.float64), rtol=1e-15)


def test_dense_product_asks_for_full_precision():
    layer = nn.Dense(2, 3)
    text = str(jax.make_jaxpr(layer)(jnp.ones(2, jnp.float32), *made(layer)))
    assert "precision=(Precision.HIGHEST, Precision.HIGHEST)" in text


def test_dense_wrong_feature_size_names_layer_size_and_shape():
    layer = nn.Dense(2, 3)
    text = r"`Dense` expects the last axis of `x` to be 2 \(`in_dims`\), got shape \(5, 4\)\. Pass"
    with pytest.raises(ValueError, match=text):
        layer(jnp.ones((5, 4), jnp.float32), *made(layer))


def test_dense_scalar_input_is_an_error():
    layer = nn.Dense(2, 3)
    with pytest.raises(ValueError, match=r"last axis of `x` to be 2 .*got shape \(\)"):
        layer(jnp.ones((), jnp.float32), *made(layer))


def test_dense_integer_input_is_promoted_or_named(dtype):
    layer = nn.Dense(2, 3)
    x = jnp.ones(2, jnp.int32)
    assert layer(x, *made(layer, dtype))[0].dtype == dtype
    text = r"`Dense` has parameters of float.. and got `x` of int32. Convert .* x.astype\(float"
    with precision.match_eltype("error"), pytest.raises(TypeError, match=text):
        layer(x, *made(layer, dtype))


def test_dense_parameters_of_another_model_are_an_error():
    ps, st = made(nn.Dense(2, 4))
    with pytest.raises(ValueError, match=r"`weight` to be \(out_dims, in_dims\) = \(3, 2\), got"):
        nn.Dense(2, 3)(jnp.ones(2, jnp.float32), ps, st)


def test_dense_negative_size_is_an_error():
    with pytest.raises(ValueError, match="`out_dims` to be an integer of at least 0, got -1"):
        nn.Dense(2, -1)


@pytest.mark.parametrize("dims", [("2", 3), (2.0, 3), (2, None), (True, 3)])
def test_dense_size_that_is_no_integer_is_an_error(dims):
    with pytest.raises(TypeError, match="`Dense` expects `(in|out)_dims` to be an integer.*, got"):
        nn.Dense(*dims)


@pytest.mark.parametrize("activation", ["tanh", None])
def test_dense_activation_that_is_no_function_is_an_error(activation):
    with pytest.raises(TypeError, match="`activation` to be a function such as nn.tanh, got"):
        nn.Dense(2, 3, activation)


@pytest.mark.parametrize("x", ["x", None, {"a": 1.0j}])
def test_dense_of_something_else_than_an_array_is_an_error(x):
    layer = nn.Dense(2, 3)
    with pytest.raises(TypeError, match="expects `x` to be an array, got (str|NoneType|dict)"):
        layer(x, *made(layer))


def test_dense_starts_alike_for_activations_of_jax():
    ours, theirs = (made(nn.Dense(4, 4, f))[0].weight for f in (nn.tanh, jnp.tanh))
    np.testing.assert_array_equal(ours, theirs)


def test_dense_precision_is_given_up_by_name_and_shown():
    layer = nn.Dense(2, 3, precision="default")
    assert repr(layer) == "Dense(2, 3, precision='default')"
    ps, st = made(layer)
    x = jnp.ones((4, 2), jnp.float32)
    kinds = [f.kind for f in precision.audit(lambda x: layer(x, ps, st)[0], x).findings]
    assert kinds == ["matmul precision"]
    assert "precision='default'" in repr(lux.summary(layer, x))
    with pytest.raises(ValueError, match='"highest", "high" or "default", got \'tf32\''):
        nn.Dense(2, 3, precision="tf32")
