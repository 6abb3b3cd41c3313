import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn, precision
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def called(layer, x, dtype=jnp.float32):
    return layer(x, *made(layer, dtype))


def draw(*shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), dtype)


ALL = {
    "BatchNorm": lambda **options: nn.BatchNorm(4, **options),
    "InstanceNorm": lambda **options: nn.InstanceNorm(4, **options),
    "GroupNorm": lambda **options: nn.GroupNorm(4, 2, **options),
    "LayerNorm": lambda **options: nn.LayerNorm(4, **options),
    "RMSNorm": lambda **options: nn.RMSNorm(4, **options),
}


@pytest.mark.parametrize("name", ALL)
def test_norm_starts_with_scale_one_and_bias_zero_and_takes_initialisers(name):
    ps, _ = made(ALL[name](affine=True))
    assert (ps.scale == 1).all() and ps.scale.shape == (4,)
    if name != "RMSNorm":
        assert list(ps) == ["scale", "bias"] and not ps.bias.any()
    ps, _ = made(ALL[name](affine=True, init_scale=initializers.uniform))
    assert (ps.scale != 1).all()
    assert list(made(ALL[name](affine=False))[0]) == []


@pytest.mark.parametrize("name", ALL)
def test_norm_default_epsilon_is_a_hundred_thousandth(name):
    x = 0.01 * draw(3, 2, 4)
    y, _ = called(ALL[name](), x)
    np.testing.assert_array_equal(y, called(ALL[name](epsilon=1e-5), x)[0])
    assert (y != called(ALL[name](epsilon=2e-5), x)[0]).any()


def test_affine_and_tracking_are_off_by_default_for_instance_norm_only():
    assert not nn.InstanceNorm(4).affine and not nn.InstanceNorm(4).track_stats
    assert nn.BatchNorm(4).affine and nn.BatchNorm(4).track_stats
    assert nn.GroupNorm(4, 2).affine and nn.LayerNorm(4).affine and nn.RMSNorm(4).affine


def test_batch_norm_gives_the_numbers_of_the_tests_of_lux():
    layer = nn.BatchNorm(2)
    x = jnp.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], jnp.float32)
    y, st = called(layer, x)
    want = np.asarray([[-1.22474, -1.22474], [0.0, 0.0], [1.22474, 1.22474]])
    np.testing.assert_allclose(y, want, atol=1e-5)
    # 0.1 (1 + 3 + 5) / 3 and 0.9 + 0.1 var([1, 3, 5]).
    np.testing.assert_allclose(st.running_mean, [0.3, 0.4], rtol=1e-6)
    np.testing.assert_allclose(st.running_var, [1.3, 1.3], rtol=1e-6)


def test_batch_norm_in_test_mode_keeps_its_states():
    layer = nn.BatchNorm(2)
    ps, st = made(layer)
    x = draw(3, 2)
    y, new = layer(x, ps, lux.testmode(st))
    np.testing.assert_allclose(y, np.asarray(x) / np.sqrt(1 + 1e-5), rtol=1e-6)
    np.testing.assert_array_equal(new.running_mean, st.running_mean)
    np.testing.assert_array_equal(layer(x[:1], ps, lux.testmode(st))[0], y[:1])


def test_batch_norm_without_tracking_takes_the_moments_of_the_data_in_both_modes():
    layer = nn.BatchNorm(2, track_stats=False)
    ps, st = made(layer)
    assert list(st) == ["training"] and lux.state_length(st) == 1
    x = draw(3, 2)
    np.testing.assert_array_equal(layer(x, ps, st)[0], layer(x, ps, lux.testmode(st))[0])


def test_batch_norm_momentum_is_the_weight_of_the_new():
    x = 3 + draw(50, 2)
    moments = np.mean(x, 0), np.var(np.asarray(x), 0, ddof=1)
    _, st = called(nn.BatchNorm(2, momentum=1.0), x)
    np.testing.assert_allclose(st.running_mean, moments[0], rtol=1e-5)
    np.testing.assert_allclose(st.running_var, moments[1], rtol=1e-5)
    _, st = called(nn.BatchNorm(2, momentum=0.0), x)
    assert not st.running_mean.any() and (st.running_var == 1).all()


def test_batch_norm_activation_comes_last():
    x = draw(5, 2)
    plain, _ = called(nn.BatchNorm(2), x)
    np.testing.assert_array_equal(called(nn.BatchNorm(2, nn.relu), x)[0], nn.relu(plain))


@needs_x64
@pytest.mark.parametrize("layer", [nn.BatchNorm(2), nn.InstanceNorm(2, track_stats=True)])
def test_running_statistics_keep_float32_beside_float64_data(layer):
    ps, st = made(layer)
    y, new = layer(draw(3, 4, 2, dtype=jnp.float64), ps, st)
    assert y.dtype == jnp.float64
    assert new.running_mean.dtype == new.running_var.dtype == jnp.float32
    assert layer(draw(3, 4, 2, dtype=jnp.float64), ps, lux.testmode(new))[0].dtype == jnp.float64


@any_precision
@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 4), (0, 4), (0, 5, 4)])
def test_batch_norm_of_one_value_in_training_is_an_error(shape):
    layer = nn.BatchNorm(4)
    ps, st = made(layer)
    text = r"`BatchNorm` expects two values of each channel .* got shape \((1|0), .*testm"
    with pytest.raises(ValueError, match=text):
        layer(jnp.ones(shape, jnp.float32), ps, st)
    assert layer(jnp.ones(shape, jnp.float32), ps, lux.testmode(st))[0].shape == shape


@any_precision
def test_batch_norm_of_one_image_normalises_over_its_places():
    layer, x = nn.BatchNorm(3), draw(1, 5, 5, 3)
    ps, st = made(layer)
    y, new = layer(x, ps, st)
    np.testing.assert_allclose(np.mean(y, (0, 1, 2)), np.zeros(3), atol=1e-6)
    np.testing.assert_allclose(new.running_var, 0.9 + 0.1 * np.var(x, (0, 1, 2), ddof=1), rtol=1e-5)


def test_batch_norm_running_statistics_carry_no_gradient():
    layer = nn.BatchNorm(2)
    ps, st = made(layer)
    x = draw(4, 2)
    of_st = jax.grad(
        lambda mean: jnp.sum(layer(x, ps, lux.testmode(st) | {"running_mean": mean})[0])
    )(st.running_mean)
    assert not of_st.any()


def test_instance_norm_tracks_the_means_over_the_batch():
    x = draw(3, 5, 4)
    _, st = called(nn.InstanceNorm(4, track_stats=True, momentum=1.0), x)
    np.testing.assert_allclose(st.running_mean, np.mean(x, (0, 1)), rtol=1e-4, atol=1e-6)
    variances = np.var(np.asarray(x), 1, ddof=1).mean(0)
    np.testing.assert_allclose(st.running_var, variances, rtol=1e-5)


@any_precision
def test_layer_norm_samples_do_not_feel_each_other_unless_asked():
    x = draw(3, 2, 4)
    other = x.at[1:].multiply(5.0)
    for layer, mixes in (
        (nn.LayerNorm(4), False),
        (nn.LayerNorm((2, 4)), False),
        (nn.LayerNorm(4, axis="sample"), False),
        (nn.LayerNorm(4, axis=(1, 2)), False),
        (nn.LayerNorm(4, axis=None), True),
        (nn.LayerNorm(4, axis=0), True),
    ):
        assert bool((called(layer, x)[0][0] != called(layer, other)[0][0]).any()) is mixes


@pytest.mark.parametrize(
    ("layer", "axes"),
    [
        (nn.LayerNorm(4), 2),
        (nn.LayerNorm((2, 4)), (1, 2)),
        (nn.LayerNorm(4, axis="sample"), (1, 2)),
        (nn.LayerNorm(4, axis=None), None),
        (nn.LayerNorm(4, axis=-2), 1),
    ],
)
def test_layer_norm_takes_the_moments_over_its_axis(layer, axes):
    x = draw(3, 2, 4)
    wide = np.asarray(x, np.float64)
    want = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(called(layer, x)[0], want, rtol=1e-4, atol=1e-5)


@any_precision
def test_unbatched_input_of_layer_norm_and_rms_norm():
    x = draw(3, 4)
    for layer in (nn.LayerNorm(4), nn.RMSNorm(4)):
        np.testing.assert_allclose(called(layer, x[1])[0], called(layer, x)[0][1], rtol=1e-6)


def test_integer_input_is_promoted_to_the_parameters_or_an_error_without():
    x = jnp.arange(12, dtype=jnp.int32).reshape(3, 4)
    assert called(nn.LayerNorm(4), x)[0].dtype == jnp.float32
    with pytest.raises(TypeError, match="`layernorm` expects real floating .* got int32") as caught:
        called(nn.LayerNorm(4, affine=False), x)
    assert "while calling `LayerNorm`" in caught.value.__notes__[0]


WRONG = [
    (lambda: nn.BatchNorm(-1), ValueError, "`BatchNorm` expects `dims` to be an integer of at le"),
    (lambda: nn.BatchNorm(2.0), TypeError, "`dims` to be an integer of at least 0, got 2.0"),
    (lambda: nn.InstanceNorm("2"), TypeError, "`InstanceNorm` expects `dims` to be an integer"),
    (lambda: nn.GroupNorm(4, 0), ValueError, "`groups` to be an integer of at least 1, got 0"),
    (lambda: nn.GroupNorm(4, 3), ValueError, "`groups` to divide `dims`, got 3 groups of 4"),
    (lambda: nn.LayerNorm(()), ValueError, r"`LayerNorm` expects `shape` .* got \(\)"),
    (lambda: nn.LayerNorm(4, axis="batch"), ValueError, '"features", "sample", .* got \'batch\''),
    (lambda: nn.LayerNorm(4, axis=()), ValueError, r"`axis` to be .* got \(\)"),
    (lambda: nn.RMSNorm((2, -1)), ValueError, r"`RMSNorm` expects `shape` .* got \(2, -1\)"),
    (lambda: nn.RMSNorm(2, epsilon=-1.0), ValueError, "`epsilon` to be a number of at least 0, "),
    (lambda: nn.RMSNorm(2, init_scale=1.0), TypeError, "`init_scale` to be a function, got 1.0"),
    (lambda: nn.LayerNorm(4, epsilon="0"), TypeError, "`LayerNorm` expects `epsilon` .* got '0'"),
    (lambda: nn.BatchNorm(4, "relu"), TypeError, "`BatchNorm` expects `activation` to be a funct"),
    (lambda: nn.GroupNorm(4, 2, init_bias=0), TypeError, "`init_bias` to be a function, got 0"),
    (lambda: nn.BatchNorm(4, momentum=1.1), ValueError, r"`momentum` to be a number in \[0, 1\]"),
]


@pytest.mark.parametrize(("make", "error", "text"), WRONG)
def test_norm_with_a_wrong_option_is_an_error(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (nn.BatchNorm(4), (3, 5), r"\(batch, \.\.\., 4\) \(`dims`\), got shape \(3, 5\)"),
        (nn.BatchNorm(4), (4,), r"\(batch, \.\.\., 4\) \(`dims`\), got shape \(4,\)"),
        (nn.InstanceNorm(4), (3, 4), r"one spatial axis or more, got shape \(3, 4\)"),
        (nn.GroupNorm(4, 2), (3, 2), r"\(batch, \.\.\., 4\) \(`dims`\), got shape \(3, 2\)"),
        (nn.LayerNorm((2, 4)), (3, 4), r"to be \(2, 4\) \(`shape`\), got shape \(3, 4\)"),
        (nn.RMSNorm(4), (), r"to be \(4,\) \(`shape`\), got shape \(\)"),
    ],
)
def test_norm_of_another_shape_is_an_error(layer, shape, text):
    name = lux.core.layer_name(layer)
    with pytest.raises(ValueError, match=f"`{name}` expects .*{text}"):
        called(layer, jnp.ones(shape, jnp.float32))


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm(2, affine=False), nn.InstanceNorm(2, track_stats=True)]
)
@pytest.mark.parametrize("mode", ["none", "convert"])
def test_running_statistics_of_the_other_half_are_an_error(layer, mode):
    ps, st = made(layer, jnp.float16)
    x = jnp.ones((2, 4, 2), jnp.bfloat16)
    for states in (lux.trainmode(st), lux.testmode(st)):
        with (
            precision.match_eltype(mode),
            pytest.raises(precision.EltypeMismatchError, match="float16 and .*bfloat16"),
        ):
            layer(x, ps, states)
