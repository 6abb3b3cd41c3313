import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import chebyshev, legendre

import sciml_lux as lux
from sciml_lux import initializers, nn
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


@needs_x64
def test_output_is_a_series_of_products():
    layer = nn.TensorProductLayer((nn.Chebyshev(3), nn.Legendre(4)), 2)
    ps, st = made(layer, jnp.float64)
    x = np.random.default_rng(0).uniform(-2, 2, (5, 2))
    products = np.einsum(
        "bi,bj->bij", chebyshev.chebvander(x[:, 0], 2), legendre.legvander(x[:, 1], 3)
    )
    want = np.einsum("bij,oij->bo", products, np.asarray(ps.weight).reshape(2, 3, 4))
    np.testing.assert_allclose(layer(jnp.asarray(x), ps, st)[0], want, rtol=1e-13)


@pytest.mark.parametrize(
    ("basis", "want"),
    [
        (nn.Chebyshev(4), [1, 0.5, -0.5, -1]),
        (nn.Legendre(4), [1, 0.5, -0.125, -0.4375]),
        (nn.Polynomial(4), [1, 0.5, 0.25, 0.125]),
        (nn.Sin(2), np.sin([0.5, 1.0])),
        (nn.Cos(2), np.cos([0.5, 1.0])),
        (nn.Fourier(2), [np.sin(0.25), np.cos(0.5)]),
    ],
)
def test_bases_are_those_documented(basis, want, dtype):
    y = basis(jnp.full((2, 3), 0.5, dtype))
    assert y.shape == (2, 3, basis.n) and y.dtype == dtype
    np.testing.assert_allclose(y[1, 2], want, rtol=4 * jnp.finfo(dtype).eps)


@any_precision
def test_unbatched_input_and_more_leading_axes(dtype):
    layer = nn.TensorProductLayer([nn.Sin(2), nn.Cos(3)], 4)
    ps, st = made(layer, dtype)
    x = jax.random.normal(jax.random.key(1), (3, 5, 2), dtype)
    np.testing.assert_allclose(
        layer(x, ps, st)[0][2, 4], layer(x[2, 4], ps, st)[0], atol=16 * jnp.finfo(dtype).eps
    )


def test_weight_starts_normal_or_as_told():
    bases = (nn.Polynomial(40), nn.Polynomial(40))
    weight = made(nn.TensorProductLayer(bases, 10))[0].weight
    assert weight.shape == (10, 1600)
    assert abs(float(weight.mean())) < 0.04 and abs(float(weight.std()) - 1) < 0.03
    layer = nn.TensorProductLayer(bases, 2, init_weight=initializers.ones)
    assert (made(layer)[0].weight == 1).all()


@needs_x64
def test_bases_are_computed_as_wide_as_the_parameters():
    layer = nn.TensorProductLayer((nn.Polynomial(4),), 1)
    ps, st = made(layer, jnp.float64)
    x = jnp.asarray([0.1], jnp.float32)
    want = np.vander([np.float64(x[0])], 4, increasing=True) @ np.asarray(ps.weight)[0]
    np.testing.assert_allclose(layer(x, ps, st)[0], want, rtol=1e-14)


def test_a_basis_of_ones_own():
    class Even(nn.Basis):
        def __call__(self, x):
            return nn.Polynomial(2 * self.n)(x)[..., ::2]

    layer = nn.TensorProductLayer((Even(3),), 1)
    assert made(layer)[0].weight.shape == (1, 3)
    assert layer(jnp.ones(1, jnp.float32), *made(layer))[0].shape == (1,)


def test_basis_without_a_call_and_without_functions_are_errors():
    with pytest.raises(TypeError, match="`Basis` defines no `__call__`. Write `def __call__"):
        nn.Basis(2)(jnp.ones(1, jnp.float32))
    for n, error in ((0, ValueError), (2.0, TypeError)):
        with pytest.raises(error, match="`Sin` expects `n` to be an integer of at least 1, got"):
            nn.Sin(n)


@pytest.mark.parametrize(
    ("bases", "out_dims", "error", "text"),
    [
        ((), 2, ValueError, r"a basis for each input in `basis_functions`, got \(\)"),
        ((nn.Sin(2), jnp.sin), 2, TypeError, "`basis_functions` to be a tuple of bases such as"),
        (nn.Sin(2), 2, TypeError, r"`basis_functions` to be a tuple of bases .*, got Sin\(2\)"),
        ((nn.Sin(2),), 0, ValueError, "`out_dims` to be an integer of at least 1, got 0"),
    ],
)
def test_bad_arguments_are_errors(bases, out_dims, error, text):
    with pytest.raises(error, match=f"`TensorProductLayer` expects {text}"):
        nn.TensorProductLayer(bases, out_dims)


def test_another_number_of_inputs_is_an_error():
    layer = nn.TensorProductLayer((nn.Sin(2), nn.Sin(2)), 1)
    with pytest.raises(
        ValueError, match=r"to be 2, one for each of `basis_functions`, got .*\(3,\)"
    ):
        layer(jnp.ones(3, jnp.float32), *made(layer))
