import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn, precision
from tests.conftest import needs_x64
from tests.references import load

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


@needs_x64
def test_embedding_is_torchs():
    stored = load("attention/embedding")
    layer, indices = nn.Embedding(4, 3), jnp.asarray(stored["indices"])
    weights = jnp.cos(jnp.arange(18.0)).reshape(2, 3, 3)
    f = lambda weight: layer(indices, lux.Record(weight=weight), lux.Record())[0]
    table = jnp.asarray(stored["weight"])
    np.testing.assert_array_equal(f(table), stored["y"])
    gradient = jax.grad(lambda weight: jnp.sum(weights * f(weight)))(table)
    np.testing.assert_allclose(gradient, stored["grad_weight"], rtol=1e-12, atol=1e-12)


@any_precision
@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (2, 1, 3)])
def test_embedding_takes_indices_of_any_shape(shape, dtype):
    layer = nn.Embedding(10, 4)
    ps, st = made(layer, dtype)
    x = np.random.default_rng(0).integers(0, 10, shape)
    y, _ = layer(jnp.asarray(x), ps, st)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, np.asarray(ps.weight)[x])
    np.testing.assert_array_equal(layer(x, ps, st)[0], y)


def test_embedding_of_several_axes_takes_a_tuple_of_indices(dtype):
    layer = nn.Embedding((5, 2), 4)
    ps, st = made(layer, dtype)
    assert ps.weight.shape == (5, 2, 4)
    x = jnp.asarray([[4, 0, 1], [2, 2, 3]]), jnp.asarray([[0, 1, 1], [0, 1, 0]])
    want = np.asarray(ps.weight)[tuple(map(np.asarray, x))]
    np.testing.assert_array_equal(layer(x, ps, st)[0], want)
    one = nn.Embedding((5,), 4)
    np.testing.assert_array_equal(
        one((x[0],), lux.Record(weight=ps.weight[:, 0]), st)[0], np.asarray(ps.weight)[x[0], 0]
    )


@any_precision
@pytest.mark.parametrize("index", [-1, 10, 2**20])
def test_embedding_outside_the_vocabulary_is_nan_and_pollutes_no_row(index, dtype):
    layer = nn.Embedding(10, 4)
    ps, st = made(layer, dtype)
    loss = lambda ps, x: jnp.sum(layer(x, ps, st)[0])
    x = jnp.asarray([1, index])
    assert np.isnan(layer(x, ps, st)[0]).all(-1).tolist() == [False, True]
    gradient = jax.jit(jax.grad(loss))(ps, x).weight
    np.testing.assert_array_equal(gradient, np.eye(10)[:, 1:2] * np.ones(4))


def test_embedding_starts_between_zero_and_one():
    ps, _ = made(nn.Embedding(100, 50))
    assert 0 <= ps.weight.min() < 0.01 and 0.99 < ps.weight.max() <= 1
    assert 0.49 < ps.weight.mean() < 0.51
    layer = nn.Embedding(3, 2, init_weight=initializers.ones)
    assert (made(layer)[0].weight == 1).all()
    assert made(nn.Embedding(3, 2), jnp.complex64)[0].weight.dtype == jnp.complex64


@pytest.mark.parametrize("mode", ["none", "warn", "convert", "error"])
def test_embedding_indices_are_exempt_from_the_policy(mode, dtype):
    layer = nn.Embedding(3, 2)
    with precision.match_eltype(mode):
        assert layer(jnp.asarray([0, 2]), *made(layer, dtype))[0].dtype == dtype


@pytest.mark.parametrize("kind", [jnp.float32, jnp.bool_])
def test_embedding_of_no_integers_is_an_error_that_names_the_layer(kind):
    layer = nn.Chain(nn.Embedding(3, 2))
    with pytest.raises(TypeError, match="expects indices that are integers, got ") as caught:
        layer(jnp.ones(3, kind), *made(layer))
    assert caught.value.__notes__[0].startswith("while calling `Embedding` (at `layer_1`)")


def test_embedding_of_another_form_is_an_error():
    one, two, x = nn.Embedding(3, 2), nn.Embedding((3, 4), 2), jnp.asarray([0, 1])
    with pytest.raises(ValueError, match=r"`x` to be one array of indices .* got a tuple of 2"):
        one((x, x), *made(one))
    with pytest.raises(ValueError, match=r"a tuple of 2 arrays of indices .* got a tuple of 0"):
        two((), *made(two))
    with pytest.raises(ValueError, match=r"a tuple of 2 arrays of indices .* got ArrayImpl"):
        two(x, *made(two))
    with pytest.raises(ValueError, match=r"index arrays of equal shapes .* \[\(2,\), \(1,\)\]"):
        two((x, x[:1]), *made(two))
    with pytest.raises(TypeError, match="expects indices to be arrays, got str"):
        two((x, "x"), *made(two))


def test_embedding_parameters_of_another_model_are_an_error():
    ps, st = made(nn.Embedding(3, 4))
    with pytest.raises(ValueError, match=r"`weight` to be \(\*in_dims, out_dims\) = \(3, 2\), got"):
        nn.Embedding(3, 2)(jnp.asarray([0]), ps, st)


def test_embedding_of_other_sizes_is_an_error():
    for dims in ((0, 2), (3, 0), ((3, 0), 2), ((), 2)):
        with pytest.raises(ValueError, match="`Embedding` expects sizes of at least 1, got"):
            nn.Embedding(*dims)
    for dims in (("3", 2), (3, 2.0), ((3, None), 2)):
        with pytest.raises(TypeError, match="`in_dims` to be an integer or a tuple of integers"):
            nn.Embedding(*dims)
