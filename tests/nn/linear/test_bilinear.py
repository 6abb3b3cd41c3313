import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn
from tests.conftest import needs_x64
from tests.references import load


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


@needs_x64
def test_bilinear_is_torchs():
    stored = {name: jnp.asarray(a) for name, a in load("attention/bilinear").items()}
    weights = jnp.cos(jnp.arange(20.0)).reshape(5, 4)
    arguments = {name: stored[name] for name in ("x", "other", "weight", "bias")}

    def f(x, other, weight, bias):
        ps = lux.Record(weight=weight, bias=bias)
        return nn.Bilinear((3, 2), 4)((x, other), ps, lux.Record())[0]

    np.testing.assert_allclose(f(**arguments), stored["y"], rtol=1e-12, atol=1e-12)
    gradients = jax.grad(lambda arguments: jnp.sum(weights * f(**arguments)))(arguments)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, stored[f"grad_{name}"], rtol=1e-12, atol=1e-12)


def test_bilinear_computes_the_form_by_hand(dtype):
    weight = jnp.asarray([[[1.0, 2.0], [0.0, -1.0]], [[0.0, 1.0], [1.0, 0.0]]], dtype)
    ps = lux.Record(weight=weight, bias=jnp.asarray([0.5, -20.0], dtype))
    x, y = jnp.asarray([1.0, 2.0], dtype), jnp.asarray([3.0, 4.0], dtype)
    layer = nn.Bilinear(2, 2, nn.relu)
    # 1 3 1 + 1 4 2 - 2 4 1 + 1/2, and 1 4 + 2 3 - 20.
    assert layer((x, y), ps, lux.Record())[0].tolist() == [3.5, 0.0]


def test_bilinear_of_one_input_takes_it_twice_and_keeps_leading_axes(dtype):
    layer = nn.Bilinear(2, 3)
    ps, st = made(layer, dtype)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 2)), dtype)
    z, _ = layer(x, ps, st)
    assert z.shape == (4, 5, 3)
    np.testing.assert_array_equal(z, layer((x, x), ps, st)[0])
    np.testing.assert_allclose(layer(x[1, 2], ps, st)[0], z[1, 2], rtol=1e-5)


def test_bilinear_starts_within_the_documented_bounds():
    ps, _ = made(nn.Bilinear((16, 4), 100))
    for array in (ps.weight, ps.bias):
        assert 0.97 * 0.25 < jnp.abs(array).max() <= 0.25
        assert abs(array.mean()) < 0.03
    layer = nn.Bilinear(2, 3, init_weight=initializers.ones, init_bias=initializers.zeros)
    ps, _ = made(layer)
    assert (ps.weight == 1).all() and (ps.bias == 0).all()
    assert list(made(nn.Bilinear(2, 3, use_bias=False))[0]) == ["weight"]


def test_bilinear_products_ask_for_full_precision():
    x = jnp.ones((4, 2), jnp.float32)
    texts = [
        str(jax.make_jaxpr(layer)(x, *made(layer)))
        for layer in (nn.Bilinear(2, 3), nn.Bilinear(2, 3, precision="default"))
    ]
    count = texts[0].count("dot_general")
    assert texts[0].count("(Precision.HIGHEST, Precision.HIGHEST)") == count >= 1
    assert "HIGHEST" not in texts[1]


@needs_x64
@pytest.mark.parametrize("wide", ["x", "y", "ps"])
def test_bilinear_of_mixed_dtypes_is_as_wide_as_the_widest(wide):
    layer = nn.Bilinear((2, 3), 4)
    of = lambda name: jnp.float64 if name == wide else jnp.float32
    ps, st = made(layer, of("ps"))
    assert layer((jnp.ones(2, of("x")), jnp.ones(3, of("y"))), ps, st)[0].dtype == jnp.float64


@pytest.mark.parametrize(
    "shapes", [((4, 2), (4, 2)), ((4, 3), (4, 3)), ((4, 2), (5, 3)), ((4, 2), (1, 3)), ((), (3,))]
)
def test_bilinear_of_another_shape_is_an_error(shapes):
    layer = nn.Bilinear((2, 3), 4)
    text = r"`x` \(\.\.\., 2\) and `y` \(\.\.\., 3\) with equal leading axes .* got shapes \("
    with pytest.raises(ValueError, match=text):
        layer(tuple(jnp.ones(shape, jnp.float32) for shape in shapes), *made(layer))


def test_bilinear_refuses_what_it_cannot_mean():
    for dims in (("2", 3), (2.0, 3), ((2,), 3), ((2, 3, 4), 5), (2, None)):
        with pytest.raises(TypeError, match="`in_dims` to be an integer or a pair of integers"):
            nn.Bilinear(*dims)
    with pytest.raises(ValueError, match=r"sizes of at least 0, got \(2, -1\) \(`in_dims`\) and 3"):
        nn.Bilinear((2, -1), 3)
    with pytest.raises(
        TypeError, match="`activation` to be a function such as nn.tanh, got 'tanh'"
    ):
        nn.Bilinear(2, 3, "tanh")
    with pytest.raises(ValueError, match='"highest", "high" or "default", got \'tf32\''):
        nn.Bilinear(2, 3, precision="tf32")
    layer = nn.Bilinear(2, 3)
    with pytest.raises(TypeError, match="an array or a pair of arrays, got str and str"):
        layer("x", *made(layer))
    with pytest.raises(ValueError, match=r"\(out_dims, in1, in2\) = \(3, 2, 2\), got shape \(4, "):
        layer(jnp.ones(2, jnp.float32), *made(nn.Bilinear(2, 4)))
