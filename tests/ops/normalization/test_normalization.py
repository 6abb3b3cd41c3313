import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops, precision
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision

HALVES = [jnp.float16, jnp.bfloat16]


def draw(*shape, dtype=jnp.float32, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def normal(x, axes, epsilon):
    x = np.asarray(x, np.float64)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def close(found, want, dtype):
    tolerance = 16 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(np.asarray(found, np.float64), want, rtol=tolerance, atol=tolerance)


# What each computes, with the axes of its moments, on an input of shape (3, 2, 4).
MEANS = {
    "batchnorm": (lambda x, e=None: ops.batchnorm(x, *[None] * 4, True, epsilon=e)[0], (0, 1)),
    "instancenorm": (lambda x, e=None: ops.instancenorm(x, *[None] * 4, True, epsilon=e)[0], 1),
    "layernorm": (lambda x, e=None: ops.layernorm(x, None, None, epsilon=e), (1, 2)),
    "layernorm last": (lambda x, e=None: ops.layernorm(x, None, None, axis=-1, epsilon=e), 2),
    "layernorm all": (lambda x, e=None: ops.layernorm(x, None, None, axis=None, epsilon=e), None),
    "groupnorm one": (lambda x, e=None: ops.groupnorm(x, None, None, 1, epsilon=e), (1, 2)),
    "groupnorm each": (lambda x, e=None: ops.groupnorm(x, None, None, 4, epsilon=e), 1),
}


# One way through each function that they share.
FEW = ["batchnorm", "layernorm", "groupnorm each"]


@any_precision
@pytest.mark.parametrize("name", MEANS)
def test_norm_is_numpy_with_the_biased_variance(name, dtype):
    op, axes = MEANS[name]
    x = draw(3, 2, 4, dtype=dtype)
    close(op(x, 0.5), normal(x, axes, 0.5), dtype)


@pytest.mark.parametrize("name", MEANS)
@pytest.mark.parametrize("of_x", ["float16", "float32"])
def test_default_epsilon_is_that_of_the_dtype(name, of_x):
    op, _ = MEANS[name]
    x = draw(3, 2, 4, dtype=of_x)
    epsilon = float(jnp.finfo(of_x).eps) ** (5 / 7)
    np.testing.assert_array_equal(op(x), op(x, epsilon))
    assert (op(x) != op(x, 2 * epsilon)).any()


def test_rmsnorm_is_numpy(dtype):
    x, scale = draw(3, 2, 4, dtype=dtype), draw(2, 4, dtype=dtype, seed=1)
    mean = np.mean(np.square(x), (1, 2), keepdims=True)
    want = np.asarray(x) / np.sqrt(mean + 0.5) * np.asarray(scale)
    close(ops.rmsnorm(x, scale, (1, 2), 0.5), want, dtype)
    epsilon = float(jnp.finfo(dtype).eps) ** (5 / 7)
    np.testing.assert_array_equal(ops.rmsnorm(x, None), ops.rmsnorm(x, None, -1, epsilon))


@any_precision
def test_scale_bias_and_activation_come_after(dtype):
    x, scale, bias = draw(3, 4, dtype=dtype), draw(4, dtype=dtype, seed=1), draw(4, dtype=dtype)
    z, s, b = normal(x, 1, 0.5), np.asarray(scale), np.asarray(bias)
    close(ops.layernorm(x, scale, bias, ops.tanh, -1, 0.5), np.tanh(z * s + b), dtype)
    close(ops.layernorm(x, scale, None, axis=-1, epsilon=0.5), z * s, dtype)
    close(ops.layernorm(x, None, bias, axis=-1, epsilon=0.5), z + b, dtype)


@any_precision
def test_groups_are_neighbouring_channels():
    x = draw(2, 3, 4)
    y = ops.groupnorm(x, None, None, 2, epsilon=0.5)
    for part in (slice(0, 2), slice(2, 4)):
        close(y[..., part], normal(x[..., part], (1, 2), 0.5), jnp.float32)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", FEW)
def test_halves_are_computed_in_float32_and_come_back(name, half):
    op, axes = MEANS[name]
    # The squares overflow float16, and a running sum would stop growing in bfloat16.
    x = 300 * draw(3, 2, 4, dtype=half) + 1000
    y = op(x)
    assert y.dtype == half
    eps = float(jnp.finfo(half).eps)
    np.testing.assert_allclose(
        np.asarray(y, np.float64), normal(x, axes, eps ** (5 / 7)), rtol=eps, atol=1e-6
    )


@pytest.mark.parametrize("half", HALVES)
def test_rmsnorm_and_weightnorm_of_halves_come_back(half):
    x = 300 * draw(4, 3, dtype=half)
    for y in (ops.rmsnorm(x, None), ops.weightnorm(x, ops.norm_except(x, 0), 0)):
        assert y.dtype == half and jnp.isfinite(y).all()


@needs_x64
def test_norm_of_mixed_dtypes_is_as_wide_as_the_wider():
    x, scale = draw(3, 4), draw(4, dtype=jnp.float64, seed=1)
    y = ops.batchnorm(x, scale, None, None, None, True, epsilon=0.5)[0]
    assert y.dtype == jnp.float64
    np.testing.assert_allclose(y, normal(x, 0, 0.5) * np.asarray(scale), rtol=1e-13)


@pytest.mark.parametrize("name", FEW)
def test_constant_input_gives_zero_and_finite_gradients(name):
    op, _ = MEANS[name]
    x = jnp.zeros((3, 2, 4), jnp.float32)
    np.testing.assert_array_equal(op(x), jnp.zeros_like(x))
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(jnp.sin(op(x)))))
    assert np.isfinite(gradient(x)).all()


@any_precision
@pytest.mark.parametrize("op", [ops.batchnorm, ops.instancenorm])
def test_running_statistics_follow_the_unbiased_moments(op, dtype):
    x, axes = draw(3, 5, 2, dtype=dtype), (0, 1) if op is ops.batchnorm else 1
    mean, var = jnp.asarray([1.0, 2.0], dtype), jnp.asarray([3.0, 4.0], dtype)
    _, new = op(x, None, None, mean, var, True, momentum=0.25)
    moments = [np.mean(x, axes), np.var(np.asarray(x, np.float64), axes, ddof=1)]
    for name, old, moment in zip(new, (mean, var), moments, strict=True):
        want = 0.75 * np.asarray(old) + 0.25 * moment.reshape(-1, 2).mean(0)
        close(new[name], want, dtype)


@pytest.mark.parametrize("op", [ops.batchnorm, ops.instancenorm])
def test_test_mode_uses_the_running_statistics_and_keeps_them(op):
    x = draw(3, 5, 2)
    mean, var = jnp.asarray([1.0, 2.0], jnp.float32), jnp.asarray([3.0, 4.0], jnp.float32)
    y, new = op(x, None, None, mean, var, False, epsilon=0.5)
    want = (np.asarray(x) - np.asarray(mean)) / np.sqrt(np.asarray(var) + 0.5)
    close(y, want, jnp.float32)
    assert new["running_mean"] is mean and new["running_var"] is var


@any_precision
@pytest.mark.parametrize("op", [ops.batchnorm, ops.instancenorm])
def test_without_running_statistics_test_mode_takes_those_of_the_data(op):
    x = draw(3, 5, 2)
    trained, tested = (op(x, None, None, None, None, mode) for mode in (True, False))
    np.testing.assert_array_equal(trained[0], tested[0])
    assert tested[1] == {"running_mean": None, "running_var": None}


@any_precision
def test_running_statistics_carry_no_gradient():
    x, one = draw(4, 2), jnp.ones(2, jnp.float32)

    def after(x, running, training):
        y, new = ops.batchnorm(x, None, None, running, running, training)
        return jnp.sum(new["running_mean"] + new["running_var"]) + (0 if training else jnp.sum(y))

    assert not jax.grad(after)(x, one, True).any()
    assert not jax.grad(after, 1)(x, one, True).any()
    of_running = jax.grad(lambda r: jnp.sum(ops.batchnorm(x, None, None, r, r, False)[0]))(one)
    assert not of_running.any()


# Functions of x and one number for all their settings.
SET = {
    "batchnorm": lambda x, n: ops.batchnorm(x, None, None, ONES, ONES, True, momentum=n, epsilon=n),
    "batchnorm testing": lambda x, n: ops.batchnorm(x, None, None, ONES, ONES, False, epsilon=n),
    "layernorm": lambda x, n: ops.layernorm(x, None, None, epsilon=n),
    "groupnorm": lambda x, n: ops.groupnorm(x, None, None, 2, epsilon=n),
    "rmsnorm": lambda x, n: ops.rmsnorm(x, None, epsilon=n),
}


@pytest.mark.parametrize("name", SET)
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_setting_of_any_scalar_type_means_the_same_number(name, kind):
    found, want = SET[name](X, kind(0.375)), SET[name](X, 0.375)
    for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(want), strict=True):
        assert left.dtype == jnp.float32
        np.testing.assert_array_equal(left, right)


@needs_x64
def test_running_statistics_keep_their_dtype_and_do_not_change_that_of_the_output():
    for of_x, of_running in (("float64", "float32"), ("float32", "float64")):
        x, running = draw(4, 2, dtype=of_x), jnp.ones(2, of_running)
        for training in (True, False):
            y, new = ops.batchnorm(x, None, None, running, running, training)
            assert y.dtype == of_x
            assert {s.dtype.name for s in new.values()} == {of_running}


@pytest.mark.parametrize("op", [ops.batchnorm, ops.instancenorm])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("running", HALVES)
def test_running_statistics_of_the_other_half_are_an_error(op, training, running):
    (other,) = [half for half in HALVES if half != running]
    statistics = (ONES.astype(running), ONES.astype(running))
    for x, scale in ((X.astype(other), None), (X, ONES.astype(other))):
        with pytest.raises(precision.EltypeMismatchError, match="float16 and bfloat16"):
            op(x, scale, None, *statistics, training)
    assert op(X.astype(running), None, None, *statistics, training)[0].dtype == running
    assert op(X.astype(other), None, None, ONES, ONES, training)[0].dtype == other


@pytest.mark.parametrize("training", [True, False])
def test_running_statistics_are_checked_as_x_is(training):
    with pytest.raises(TypeError, match="`batchnorm` expects real floating .* got int32"):
        ops.batchnorm(X, None, None, ONES, ONES.astype(jnp.int32), training)
    wide, text = np.ones(4), "`batchnorm`: `running_.*float64, but jax_enable_x64 is off"
    for statistics in ((wide, ONES), (ONES, wide)):
        with jax.enable_x64(False), pytest.raises(TypeError, match=text):
            ops.batchnorm(X, None, None, *statistics, training)


@any_precision
def test_empty_batches_are_empty():
    x = jnp.ones((0, 3, 2), jnp.float32)
    one = jnp.ones(2, jnp.float32)
    for y in (
        ops.batchnorm(x, None, None, one, one, False)[0],
        ops.instancenorm(x, None, None, one, one, False)[0],
        ops.groupnorm(x, None, None, 2),
        ops.layernorm(x, None, None),
        ops.rmsnorm(x, None),
    ):
        assert y.shape == x.shape


@any_precision
def test_axes_without_entries_are_empty_with_epsilon_and_without():
    x = jnp.ones((3, 0), jnp.float32)
    for epsilon in (None, 0.0):
        last = jax.jit(lambda x, e=epsilon: ops.layernorm(x, None, None, axis=-1, epsilon=e))
        first = jax.jit(lambda x, e=epsilon: ops.layernorm(x, None, None, axis=0, epsilon=e))
        assert last(x).shape == x.shape
        assert first(x.T).shape == x.T.shape
        assert jax.jit(lambda x, e=epsilon: ops.rmsnorm(x, None, epsilon=e))(x).shape == x.shape


@any_precision
def test_norm_except_is_numpy_and_safe_at_zero(dtype):
    v = draw(2, 3, 4, dtype=dtype)
    close(ops.norm_except(v), np.sqrt(np.sum(np.square(v), keepdims=True)), dtype)
    close(ops.norm_except(v, -1), np.sqrt(np.sum(np.square(v), (0, 1), keepdims=True)), dtype)
    zero = jnp.zeros(3, dtype)
    gradient = jax.jit(jax.grad(lambda v: jnp.sum(ops.norm_except(v))))(zero)
    assert ops.norm_except(zero) == 0 and not gradient.any()


@any_precision
def test_weightnorm_at_zero_is_zero_with_finite_gradient():
    v, g = jnp.zeros((2, 3), jnp.float32), jnp.ones((2, 1), jnp.float32)
    assert not ops.weightnorm(v, g, 0).any()
    total = lambda v, g: jnp.sum(ops.weightnorm(v, g, 0))
    gradients = jax.jit(jax.grad(total, (0, 1)))(v, g)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


X = jnp.ones((3, 2, 4), jnp.float32)
ONES = jnp.ones(4, jnp.float32)
TWO = jnp.ones(2, jnp.float32)
WRONG = [
    (lambda: ops.batchnorm(ONES, *[None] * 4, True), r"`batchnorm` .* got shape \(4,\)"),
    (lambda: ops.instancenorm(X[0], *[None] * 4, True), r"`instancenorm` .* got shape \(2, 4\)"),
    (lambda: ops.groupnorm(ONES, None, None, 1), r"`groupnorm` .* got shape \(4,\)"),
    (lambda: ops.groupnorm(X, None, None, 3), "to divide the channels.* got 3 groups of 4"),
    (lambda: ops.groupnorm(X, None, None, 0), "to divide the channels.* got 0 groups of 4"),
    (lambda: ops.layernorm(X, TWO, None), r"`scale` of shape \(4,\), got \(2,\)"),
    (lambda: ops.batchnorm(X, None, TWO, None, None, True), r"`bias` of shape \(4,\), got \(2,\)"),
    (lambda: ops.batchnorm(X, None, None, ONES, None, True), r"None for both, got \[\(4,\), None"),
    (lambda: ops.batchnorm(X, None, None, TWO, TWO, True), r"of shape \(4,\), .* got \[\(2,\), \("),
    (
        lambda: ops.batchnorm(X[:1, :1], None, None, ONES, ONES, True),
        r"two or more values for each variance, got `x` of shape \(1, 1, 4\)",
    ),
    (
        lambda: ops.instancenorm(X[:0], None, None, ONES, ONES, True),
        r"two or more values for each variance, got `x` of shape \(0, 2, 4\)",
    ),
    (lambda: ops.layernorm(X, None, None, axis=3), "`axis` to be axes of `x`.* got 3 for"),
    (lambda: ops.layernorm(X, None, None, axis="batch"), "\"sample\" or None, got 'batch'"),
    (lambda: ops.rmsnorm(X, None, (0, -4)), r"`axis` to be axes of `x`, got \(0, -4\) for"),
    (lambda: ops.norm_except(X, 3), "`axis` to be an axis of `v` or None, got 3 for `v` of"),
    (lambda: ops.weightnorm(X, ONES, 0), r"`g` of shape \(3, 1, 1\), .* got \(4,\)"),
]


@any_precision
@pytest.mark.parametrize(("call", "text"), WRONG)
def test_norm_of_a_wrong_shape_is_an_error(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize("training", [None, 1, "train"])
def test_training_must_be_said(training):
    with pytest.raises(TypeError, match="`training` to be True or False, got .* cannot be seen"):
        ops.batchnorm(X, *[None] * 4, training)


@pytest.mark.parametrize("of_x", [jnp.int32, jnp.bool_, jnp.complex64])
def test_norm_of_other_than_real_floats_is_an_error(of_x):
    x = jnp.ones((3, 2, 4), of_x)
    text = "expects real floating `x` and parameters, got (int32|bool|complex64). Convert"
    for op, _ in MEANS.values():
        with pytest.raises(TypeError, match=text):
            op(x, 0.5)
    for call in (lambda: ops.rmsnorm(x, None), lambda: ops.norm_except(x)):
        with pytest.raises(TypeError, match=text):
            call()


def test_norm_of_two_halves_is_an_error():
    with pytest.raises(precision.EltypeMismatchError, match="float16 and bfloat16"):
        ops.rmsnorm(X.astype(jnp.float16), ONES.astype(jnp.bfloat16))
