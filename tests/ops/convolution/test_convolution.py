import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64
from tests.references import load

any_precision = pytest.mark.any_precision


def line(*numbers, dtype=jnp.float32):
    """One image of one axis and one channel."""
    return jnp.asarray(numbers, dtype).reshape(1, -1, 1)


def kernel(*numbers, dtype=jnp.float32):
    return jnp.asarray(numbers, dtype).reshape(1, 1, -1)


def listed(y):
    return y[0, :, 0].tolist()


def normal(seed, shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def test_conv_flips_the_kernel_and_cross_correlation_does_not(dtype):
    x, weight = line(1, 0, 0, 2, dtype=dtype), kernel(1, 2, 3, dtype=dtype)
    assert listed(ops.conv(x, weight, padding=1)) == [2.0, 3.0, 2.0, 4.0]
    assert listed(ops.conv(x, weight, padding=1, cross_correlation=True)) == [2.0, 1.0, 6.0, 4.0]
    assert listed(ops.conv(x, weight, padding=2)) == np.convolve([1, 0, 0, 2], [1, 2, 3]).tolist()


def test_conv_stride_padding_and_dilation_by_hand():
    x, weight = line(1, 2, 3, 4, 5), kernel(1, 10)
    convolved = lambda **options: listed(ops.conv(x, weight, cross_correlation=True, **options))
    assert convolved(stride=2) == [21.0, 43.0]
    assert convolved(padding=((2, 0),)) == [0.0, 10.0, 21.0, 32.0, 43.0, 54.0]
    assert convolved(dilation=3) == [41.0, 52.0]
    assert convolved(padding=(1,), padding_mode="circular") == [15.0, 21.0, 32.0, 43.0, 54.0, 15.0]
    assert convolved(padding=1, padding_mode="reflect") == [12.0, 21.0, 32.0, 43.0, 54.0, 45.0]


def test_conv_groups_see_their_own_channels_only():
    x = normal(0, (1, 4, 4, 4))
    weight = normal(1, (6, 2, 2, 2))
    y = ops.conv(x, weight, groups=2)
    halves = [ops.conv(x[..., :2], weight[:3]), ops.conv(x[..., 2:], weight[3:])]
    np.testing.assert_allclose(y, jnp.concatenate(halves, -1), rtol=1e-5, atol=1e-6)


CASES = {
    "conv1d": {"stride": 2, "padding": 1, "cross_correlation": True},
    "conv2d": {
        "stride": (1, 2),
        "padding": (2, 1),
        "dilation": (2, 1),
        "groups": 2,
        "cross_correlation": True,
    },
    "flipped": {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 1), "groups": 2},
    "circular": {
        "padding": ((2, 1), (1, 0)),
        "groups": 2,
        "cross_correlation": True,
        "padding_mode": "circular",
    },
    "reflect": {
        "padding": ((2, 1), (1, 0)),
        "groups": 2,
        "cross_correlation": True,
        "padding_mode": "reflect",
    },
    "conv3d": {"cross_correlation": True},
}
TRANSPOSES = {
    "transpose1d": {"stride": 2, "padding": 1, "cross_correlation": True},
    "transpose2d": {
        "stride": (2, 3),
        "padding": (2, 0),
        "outpad": (1, 2),
        "dilation": (2, 1),
        "groups": 2,
        "cross_correlation": True,
    },
}
TRANSPOSES["transpose_flipped"] = TRANSPOSES["transpose2d"] | {"cross_correlation": False}


def fused(options):
    return lambda x, weight, bias=None: ops.fused_conv_bias_activation(
        ops.identity, weight, x, bias, **options
    )


def transposed(options):
    return lambda x, weight, bias: (
        ops.conv_transpose(x, weight, **options) + bias.reshape((1,) * (x.ndim - 1) + (-1,))
    )


FUNCTIONS = {name: fused(options) for name, options in CASES.items()}
FUNCTIONS |= {name: transposed(options) for name, options in TRANSPOSES.items()}


def errors(case, f, prepare=lambda x: x):
    """The greatest errors of value and gradients against torch."""
    torch = load(f"convolution/{case}")
    names = [name for name in ("x", "weight", "bias") if name in torch]
    inputs = [prepare(jnp.asarray(torch[name])) for name in names]
    y, pull = jax.vjp(f, *inputs)
    gradients = pull(jnp.asarray(torch["cotangent"]))
    pairs = [
        (y, torch["y"]),
        *((g, torch[f"d_{n}"]) for n, g in zip(names, gradients, strict=True)),
    ]
    return [float(np.abs(np.asarray(ours) - theirs).max()) for ours, theirs in pairs]


@needs_x64
@pytest.mark.parametrize("case", FUNCTIONS)
def test_convolutions_equal_torch_and_a_float32_twin_does_not(case):
    assert max(errors(case, FUNCTIONS[case])) < 1e-12
    cut = lambda x: x.astype(jnp.float32).astype(x.dtype)
    twin = errors(case, FUNCTIONS[case], cut)
    assert min(twin[:3]) > 1e-10  # The gradient by the bias does not feel the cast.


@any_precision
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, (1, 2), ((0, 3), 4)])
@pytest.mark.parametrize("flip", [False, True])
def test_conv_transpose_is_the_transpose_of_conv(stride, padding, flip, dtype):
    shape = (2, 8, 9, 4)
    pairs, inputs = [], []
    for dilation, groups in itertools.product((1, 2), (1, 2)):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        options["cross_correlation"] = flip
        weight = normal(0, (6, 4 // groups, 3, 2), dtype)
        conv = functools.partial(ops.conv, weight=weight, **options)
        x = normal(1, jax.eval_shape(conv, jnp.zeros(shape, dtype)).shape, dtype)
        transposed = jax.linear_transpose(conv, jnp.zeros(shape, dtype))
        transpose = functools.partial(ops.conv_transpose, weight=weight, **options)
        floor = jax.eval_shape(transpose, x).shape
        outpad = tuple(n - m for n, m in zip(shape[1:3], floor[1:3], strict=True))
        pairs.append((functools.partial(transpose, outpad=outpad), transposed))
        inputs.append(x)
    both = jax.jit(lambda xs: [(f(x), g(x)[0]) for (f, g), x in zip(pairs, xs, strict=True)])
    tolerance = 64 * float(jnp.finfo(dtype).eps)
    for found, want in both(inputs):
        np.testing.assert_allclose(found, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "complex64"])
def test_conv_of_each_dtype_keeps_it_and_is_right(name):
    x, weight = line(1, 0, 0, 2).astype(name), kernel(1, 2, 3).astype(name)
    y = ops.conv(x, weight, padding=1)
    assert y.dtype == ops.conv_transpose(y, weight).dtype == name
    assert y.real.astype(jnp.float32)[0, :, 0].tolist() == [2.0, 3.0, 2.0, 4.0]


def test_conv_products_ask_for_full_precision_or_for_less():
    x, weight = jnp.ones((1, 4, 1), jnp.float32), jnp.ones((1, 1, 2), jnp.float32)
    for op in (ops.conv, ops.conv_transpose):
        assert "Precision.HIGHEST" in str(jax.make_jaxpr(op)(x, weight))
        low = jax.make_jaxpr(lambda x, w, op=op: op(x, w, precision="default"))(x, weight)
        assert "HIGHEST" not in str(low)


@needs_x64
def test_conv_of_mixed_dtypes_is_as_wide_as_the_wider():
    x, weight, bias = normal(0, (1, 4, 2)), normal(1, (3, 2, 2), jnp.float64), normal(2, (3,))
    y = ops.fused_conv_bias_activation(ops.tanh, weight, x, bias)
    wide = [a.astype(jnp.float64) for a in (weight, x, bias)]
    assert y.dtype == jnp.float64
    np.testing.assert_array_equal(y, ops.fused_conv_bias_activation(ops.tanh, *wide))


@any_precision
@pytest.mark.parametrize(("in_dims", "out_dims"), [(0, 2), (2, 0)])
def test_conv_of_no_channels_is_allowed(in_dims, out_dims):
    y = ops.conv(
        jnp.ones((1, 4, in_dims), jnp.float32), jnp.ones((out_dims, in_dims, 2), jnp.float32)
    )
    assert y.shape == (1, 3, out_dims) and (y == 0).all()


X, WEIGHT = jnp.ones((1, 4, 4, 2), jnp.float32), jnp.ones((4, 2, 3, 3), jnp.float32)
BAD = [
    (
        {"x": X[0]},
        ValueError,
        r"the same 1 to 3 spatial axes, got shapes \(4, 4, 2\) and .*x\[None\]",
    ),
    ({"x": X[..., :1]}, ValueError, r"last axis of `x` to be .*got shape \(1, 4, 4, 1\)"),
    ({"weight": WEIGHT[0, 0]}, ValueError, r"spatial axes, got shapes \(1, 4, 4, 2\) and \(3, 3\)"),
    (
        {"groups": 3},
        ValueError,
        r"`groups` of at least 1 that divides the .*got 3 and shape \(4, 2",
    ),
    ({"groups": 0}, ValueError, "`groups` of at least 1 .*got 0"),
    ({"groups": 1.0}, ValueError, "`groups` of at least 1 .*got 1.0"),
    ({"stride": 0}, ValueError, "`stride` of at least 1.*got 0"),
    (
        {"stride": (1, 1, 1)},
        ValueError,
        r"`stride` of at least 1.*each of 2 spatial axes, got \(1,",
    ),
    ({"stride": 1.5}, TypeError, "`stride` to be an integer.*got 1.5"),
    ({"dilation": (1, -1)}, ValueError, r"`dilation` of at least 1.*got \(1, -1\)"),
    ({"padding": -1}, ValueError, "`padding` of at least 0.*got -1"),
    (
        {"padding": (0, 1, 1, 2)},
        ValueError,
        r"a pair \(low, high\) for each of 2 spatial axes, got",
    ),
    ({"padding": ((1, 2, 3), 0)}, ValueError, r"`padding` of at least 0.*got \(\(1, 2, 3\), 0\)"),
    ({"padding": "SAME"}, TypeError, "`padding` of integers.*got 'SAME'"),
]


@pytest.mark.parametrize(("change", "error", "text"), BAD)
@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_convolutions_answer_bad_input(name, change, error, text):
    weight = WEIGHT if name == "conv" else WEIGHT.swapaxes(0, 1)
    if name == "conv_transpose":
        text = text.replace(r"\(4, 2", r"\(2, 4")
    arguments = {"x": X, "weight": weight} | change
    with pytest.raises(error, match=f"`{name}` expects .*{text}"):
        getattr(ops, name)(**arguments)


def test_conv_of_a_kernel_larger_than_the_padded_input_is_an_error():
    text = r"axes of at least the window's \(3, 5\).*got \(4, 4\), with padding \(4, 4\)\. Pad more"
    with pytest.raises(ValueError, match=f"`conv` expects spatial {text}"):
        ops.conv(X, WEIGHT, dilation=(1, 2))
    assert ops.conv(X, WEIGHT, dilation=(1, 2), padding=(0, (0, 1))).shape == (1, 2, 1, 4)


def test_conv_padding_mode_and_bias_are_checked():
    with pytest.raises(ValueError, match='"constant", "reflect" or "circular", got \'symmetric\''):
        ops.conv(X, WEIGHT, padding_mode="symmetric")
    with pytest.raises(ValueError, match=r"`pad_circular` expects `padding` of at most 4"):
        ops.conv(X, WEIGHT, padding=5, padding_mode="circular")
    with pytest.raises(ValueError, match=r"expects `bias` of shape \(4,\), got \(2,\)"):
        ops.fused_conv_bias_activation(ops.tanh, WEIGHT, X, jnp.ones(2, jnp.float32))


def test_conv_transpose_outpad_and_padding_are_checked():
    weight = WEIGHT.swapaxes(0, 1)
    with pytest.raises(
        ValueError, match=r"`outpad` below the stride, got \(2, 2\) and stride \(2, 2"
    ):
        ops.conv_transpose(X, weight, stride=2, outpad=2)
    with pytest.raises(ValueError, match="`outpad` of at least 0"):
        ops.conv_transpose(X, weight, outpad=-1)
    with pytest.raises(
        ValueError, match=r"less padding than there is .*\(1, 4, 4, 2\) with kernel"
    ):
        ops.conv_transpose(X, weight, padding=3)
