import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, nn, ops

pytestmark = pytest.mark.any_precision
KINDS = {
    "max": (nn.MaxPool, nn.GlobalMaxPool, nn.AdaptiveMaxPool, ops.max_pool),
    "mean": (nn.MeanPool, nn.GlobalMeanPool, nn.AdaptiveMeanPool, ops.mean_pool),
    "lp": (nn.LPPool, nn.GlobalLPPool, nn.AdaptiveLPPool, ops.lp_pool),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def called(layer, x):
    return layer(x, Record(), Record())[0]


def image(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


@kinds
def test_pools_as_in_lux_tests(kind):
    # Lux 1.31, test/core_layers/pooling_tests.jl.
    pool, over_all, adaptive, op = KINDS[kind]
    x, y = image(2, 10, 10, 3), image(2, 20, 20, 3)
    np.testing.assert_array_equal(called(pool((2, 2)), x), op(x, (2, 2)))
    np.testing.assert_array_equal(called(adaptive((5, 5)), x), op(x, (2, 2)))
    np.testing.assert_array_equal(called(adaptive((10, 5)), y), op(y, (2, 4)))
    found = called(over_all(), x)
    assert found.shape == (2, 1, 1, 3)
    np.testing.assert_array_equal(found, op(x, (10, 10)))


@kinds
@pytest.mark.parametrize("window", [(1,), (2,), (3,), (4, 5), (6, 7, 8)])
def test_pools_same_pad_sizes_as_in_lux_tests(kind, window):
    layer = KINDS[kind][0](window, padding=nn.SamePad())
    spatial = [k + 3 for k in window]
    x = jax.ShapeDtypeStruct((1, *spatial, 1), jnp.float32)
    found = jax.eval_shape(lambda x: called(layer, x), x).shape
    assert found == (1, *(math.ceil(n / k) for n, k in zip(spatial, window, strict=True)), 1)


@kinds
def test_pools_pass_their_options_on(kind):
    pool, _, _, op = KINDS[kind]
    options = {"stride": (1, 2), "padding": ((1, 0), 1), "dilation": (2, 1)}
    x = image(1, 5, 6, 2)
    np.testing.assert_array_equal(called(pool((2, 3), **options), x), op(x, (2, 3), **options))


@pytest.mark.parametrize("p", [1, 3])
def test_lp_pools_take_their_power(p):
    x = image(1, 6, 1)
    want = ops.lp_pool(x, (6,), p=p)
    for layer in (nn.LPPool((6,), p=p), nn.GlobalLPPool(p=p), nn.AdaptiveLPPool((1,), p=p)):
        np.testing.assert_array_equal(called(layer, x), want)


def test_global_pools_by_numpy():
    x = image(2, 4, 3, 2)
    size = (np.abs(np.asarray(x)) ** 2).sum((1, 2), keepdims=True) ** 0.5
    np.testing.assert_array_equal(called(nn.GlobalMaxPool(), x), np.max(x, (1, 2), keepdims=True))
    mean = np.mean(x, (1, 2), keepdims=True)
    np.testing.assert_allclose(called(nn.GlobalMeanPool(), x), mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(called(nn.GlobalLPPool(), x), size, rtol=1e-6)


def test_adaptive_pool_takes_windows_of_one_size():
    x = jnp.arange(8, dtype=jnp.float32).reshape(1, 8, 1)
    # Along 8, three windows of 4 with stride 2; PyTorch takes 3, 4 and 3.
    assert called(nn.AdaptiveMeanPool((3,)), x)[0, :, 0].tolist() == [1.5, 3.5, 5.5]
    assert called(nn.AdaptiveMaxPool((8,)), x)[0, :, 0].tolist() == list(range(8))


@kinds
def test_pools_answer_bad_options_by_name(kind):
    pool, _, adaptive, _ = KINDS[kind]
    name = pool.__name__
    with pytest.raises(TypeError, match=f"`{name}` expects the window to be a tuple .*got 2"):
        pool(2)
    with pytest.raises(ValueError, match=f"`{name}` expects `stride` of at least 1.*got 0"):
        pool((2,), stride=0)
    with pytest.raises(ValueError, match=f"`{name}` expects `padding` of at least 0.*got -1"):
        pool((2,), padding=-1)
    name = adaptive.__name__
    with pytest.raises(TypeError, match=f"`{name}` expects `out_size` to be a tuple .*got 2"):
        adaptive(2)
    with pytest.raises(TypeError, match=f"`{name}` expects `out_size` to be an integer.*got"):
        adaptive((2.0,))
    with pytest.raises(ValueError, match=rf"`{name}` expects `out_size` of at least 1.*got \(0,\)"):
        adaptive((0,))


@kinds
def test_pools_answer_bad_shapes_by_name(kind):
    pool, over_all, adaptive, _ = KINDS[kind]
    with pytest.raises(ValueError, match=rf"`{pool.__name__}` expects `x` .*got shape \(4, 4, 2\)"):
        called(pool((2, 2)), image(4, 4, 2))
    text = r"with 1 to 3 spatial axes of at least 1, got shape \(4, 0, 2\)"
    with pytest.raises(ValueError, match=f"`{over_all.__name__}` expects `x` .*{text}"):
        called(over_all(), image(4, 0, 2))
    text = r"of at least \(3,\) \(`out_size`\), got shape \(4, 2, 2\)"
    with pytest.raises(ValueError, match=f"`{adaptive.__name__}` expects `x` .*{text}"):
        called(adaptive((3,)), image(4, 2, 2))


def test_lp_pools_check_their_power():
    for make in (lambda p: nn.LPPool((2,), p=p), lambda p: nn.AdaptiveLPPool((2,), p=p)):
        with pytest.raises(ValueError, match="LPPool` expects `p` to be a number above 0, got 0"):
            make(0)
    text = "`GlobalLPPool` expects `p` to be a number above 0, got '2'"
    with pytest.raises(TypeError, match=text):
        nn.GlobalLPPool(p="2")
