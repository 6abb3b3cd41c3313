import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64

KEY = jax.random.key(0)
COUNT = 20_000
DTYPES = [jnp.float16, jnp.bfloat16, jnp.float32]


def same_key(left, right):
    return bool((jax.random.key_data(left) == jax.random.key_data(right)).all())


@pytest.mark.parametrize("of_x", DTYPES)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_right_share_and_the_mean(of_x, p):
    x = jnp.ones(COUNT, of_x)
    y, mask, _ = ops.dropout(KEY, x, p, True)
    scale = jnp.asarray(1 / (1 - p), of_x)
    assert y.dtype == mask.dtype == of_x
    np.testing.assert_array_equal(y, mask)
    assert set(np.unique(np.asarray(mask, np.float64))) == {0.0, float(scale)}
    error = math.sqrt(p * (1 - p) / COUNT)
    kept = float((np.asarray(mask, np.float64) > 0).mean())
    assert abs(kept - (1 - p)) < 4 * error
    # Of one entry: its standard error times the scale, beside the rounding of the scale.
    mean = np.asarray(y, np.float64).mean()
    assert abs(mean - 1) < 4 * error / (1 - p) + float(jnp.finfo(of_x).eps)


@pytest.mark.parametrize("of_x", DTYPES)
def test_dropout_of_zero_and_of_one_are_exact(of_x):
    x = jax.random.normal(KEY, (500,), of_x)
    y, mask, _ = ops.dropout(KEY, x, 0.0, True)
    np.testing.assert_array_equal(y, x)
    assert (mask == 1).all()
    y, mask, _ = ops.dropout(KEY, x, 1.0, True)
    assert not y.any() and not mask.any()


def test_dropout_mask_is_the_same_in_jit_and_another_at_each_key(dtype):
    x = jnp.ones((8, 8), dtype)
    y, mask, key = ops.dropout(KEY, x, 0.5, True)
    jitted = jax.jit(lambda key, x: ops.dropout(key, x, 0.5, True))(KEY, x)
    np.testing.assert_array_equal(jitted[1], mask)
    assert same_key(jitted[2], key) and not same_key(key, KEY)
    assert (ops.dropout(key, x, 0.5, True)[1] != mask).any()
    np.testing.assert_array_equal(ops.dropout(KEY, x, 0.5, True)[0], y)


def test_dropout_without_training_gives_everything_back():
    x, mask = jnp.ones((3, 2), jnp.float32), jnp.zeros((3, 2), jnp.float32)
    y, same, key = ops.dropout(KEY, x, 0.5, False, mask=mask)
    assert y is x and same is mask and key is KEY
    assert ops.dropout(KEY, x, 0.5, False)[1] is None


@pytest.mark.parametrize(
    ("axes", "shape"),
    [(None, (4, 5, 6)), (0, (4, 1, 1)), ((0, -1), (4, 1, 6)), ((), (1, 1, 1)), ((2, 1), (1, 5, 6))],
)
def test_dropout_mask_varies_along_axes_only(axes, shape):
    x = jnp.ones((4, 5, 6), jnp.float32)
    y, mask, _ = ops.dropout(KEY, x, 0.5, True, axes=axes)
    assert mask.shape == shape
    np.testing.assert_array_equal(y, np.broadcast_to(mask, x.shape))


def test_dropout_uses_a_mask_again():
    x = jnp.ones(50, jnp.float32)
    _, mask, key = ops.dropout(KEY, x, 0.5, True)
    y, same, unused = ops.dropout(key, x, 0.5, True, mask=mask, update_mask=False)
    np.testing.assert_array_equal(y, mask)
    assert same is mask and same_key(unused, key)
    np.testing.assert_array_equal(
        ops.dropout(key, x, 0.5, True, mask=mask != 0, update_mask=False)[0], mask
    )
    _, new, _ = ops.dropout(key, x, 0.5, True, mask=mask)
    assert (new != mask).any()

    step = jax.jit(lambda update: ops.dropout(key, x, 0.5, True, mask=mask, update_mask=update)[1])
    np.testing.assert_array_equal(step(jnp.asarray(False)), mask)
    np.testing.assert_array_equal(step(jnp.asarray(True)), new)


def test_dropout_gradient_is_the_mask(dtype):
    x = jnp.ones(9, dtype)
    gradient = jax.grad(lambda x: jnp.sum(ops.dropout(KEY, x, 0.3, True)[0]))(x)
    np.testing.assert_array_equal(gradient, ops.dropout(KEY, x, 0.3, True)[1])


def test_dropout_of_complex_numbers_keeps_or_drops_both_parts():
    x = jnp.full(20, 1 + 2j, jnp.complex64)
    y, mask, _ = ops.dropout(KEY, x, 0.5, True)
    assert y.dtype == jnp.complex64 and mask.dtype == jnp.float32
    np.testing.assert_array_equal(y, np.asarray(x) * np.asarray(mask))


@needs_x64
def test_dropout_scale_has_all_digits_of_float64():
    mask = ops.dropout(KEY, jnp.ones(20, jnp.float64), 0.3, True)[1]
    assert float(mask.max()) == 1 / (1 - 0.3)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(p):
    x = ops.selu(jax.random.normal(KEY, (COUNT,), jnp.float32))
    # Mean 0 and variance 1 up to the error of a sample, which stays.
    x = (x - x.mean()) / x.std()
    y, key = ops.alpha_dropout(KEY, x, p, True)
    assert y.dtype == jnp.float32 and not same_key(key, KEY)
    assert abs(float(y.mean())) < 5 / math.sqrt(COUNT)
    assert abs(float(y.var()) - 1) < 0.05
    dropped = float((y == y.min()).mean())
    assert abs(dropped - p) < 4 * math.sqrt(p * (1 - p) / COUNT)


def test_alpha_dropout_is_its_formula():
    p, alpha = 0.3, -1.7580993408473766
    x = jnp.linspace(-1, 2, 50, dtype=jnp.float32)
    y, _ = ops.alpha_dropout(KEY, x, p, True)
    a = 1 / math.sqrt((1 - p) * (1 + p * alpha**2))
    kept, dropped = a * np.asarray(x) - a * alpha * p, a * alpha - a * alpha * p
    is_kept = np.isclose(y, kept, rtol=1e-5, atol=1e-6)
    assert (is_kept | np.isclose(y, dropped, rtol=1e-5)).all() and 0 < is_kept.sum() < 50


@pytest.mark.parametrize("of_x", DTYPES)
def test_alpha_dropout_of_zero_and_of_one_are_exact(of_x):
    x = jax.random.normal(KEY, (500,), of_x)
    np.testing.assert_array_equal(ops.alpha_dropout(KEY, x, 0.0, True)[0], x)
    assert not ops.alpha_dropout(KEY, x, 1.0, True)[0].any()
    y, key = ops.alpha_dropout(KEY, x, 0.5, False)
    assert y is x and key is KEY


X = jnp.ones((3, 2), jnp.float32)
BOTH = [ops.dropout, ops.alpha_dropout]


@pytest.mark.parametrize("op", BOTH)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("promotion", ["standard", "strict"])
def test_dropout_chance_of_any_scalar_type_means_the_same_number(op, kind, promotion):
    with jax.numpy_dtype_promotion(promotion):
        found = op(KEY, X, kind(0.375), True)[0]
    assert found.dtype == jnp.float32
    np.testing.assert_array_equal(found, op(KEY, X, 0.375, True)[0])


@pytest.mark.parametrize("op", BOTH)
@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan, "0.5", None])
def test_dropout_chance_out_of_range_is_an_error(op, p):
    error = ValueError if isinstance(p, float) else TypeError
    with pytest.raises(error, match=r"dropout` expects `p` to be a number in \[0, 1\], got"):
        op(KEY, X, p, False)


@pytest.mark.parametrize("op", BOTH)
def test_dropout_training_must_be_said(op):
    with pytest.raises(TypeError, match="dropout` expects `training` to be True or False, got No"):
        op(KEY, X, 0.5, None)


@pytest.mark.parametrize("op", BOTH)
def test_dropout_of_integers_is_an_error(op):
    with pytest.raises(TypeError, match="dropout` expects `x` to be .*float.*, got int32. Convert"):
        op(KEY, jnp.ones(3, jnp.int32), 0.5, True)


def test_alpha_dropout_of_complex_numbers_is_an_error():
    with pytest.raises(TypeError, match="`x` to be of real floats, got complex64"):
        ops.alpha_dropout(KEY, jnp.ones(3, jnp.complex64), 0.5, True)


@pytest.mark.parametrize("axes", [2, (0, -3), (0.5,)])
def test_dropout_axes_that_are_not_there_are_an_error(axes):
    with pytest.raises(ValueError, match=r"`axes` to be axes of `x` or None, got .* \(3, 2\)"):
        ops.dropout(KEY, X, 0.5, True, axes=axes)


def test_dropout_mask_of_another_shape_or_dtype_is_an_error():
    with pytest.raises(ValueError, match=r"`mask` of shape \(3, 1\), .* got \(3, 2\)"):
        ops.dropout(KEY, X, 0.5, True, axes=0, mask=X)
    with pytest.raises(TypeError, match="`mask` to be float32 as `x` is, or boolean, got float16"):
        ops.dropout(KEY, X, 0.5, True, mask=X.astype(jnp.float16))
