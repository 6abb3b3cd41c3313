import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64

any_precision = pytest.mark.any_precision

PADS = [ops.pad_zeros, ops.pad_reflect, ops.pad_symmetric, ops.pad_repeat, ops.pad_circular]
ALL = [*PADS, ops.pad_constant]
NUMPY_MODES = {
    ops.pad_zeros: "constant",
    ops.pad_reflect: "reflect",
    ops.pad_symmetric: "symmetric",
    ops.pad_repeat: "edge",
    ops.pad_circular: "wrap",
}


def line(n, dtype=jnp.float32):
    return jnp.arange(1, n + 1, dtype=dtype).reshape(1, n, 1)


def listed(y):
    return y[0, :, 0].tolist()


@pytest.mark.parametrize(
    ("pad", "want"),
    [
        (ops.pad_zeros, [0, 0, 1, 2, 3, 0]),
        (ops.pad_reflect, [3, 2, 1, 2, 3, 2]),
        (ops.pad_symmetric, [2, 1, 1, 2, 3, 3]),
        (ops.pad_repeat, [1, 1, 1, 2, 3, 3]),
        (ops.pad_circular, [2, 3, 1, 2, 3, 1]),
        (ops.pad_constant, [0, 0, 1, 2, 3, 0]),
    ],
)
def test_padding_of_a_line(pad, want):
    assert listed(pad(line(3), ((2, 1),))) == want


@any_precision
def test_pad_reflect_and_repeat_of_matrices_in_the_manual_of_nnlib():
    # The examples of pad_reflect and pad_repeat, with rows and columns as our two spatial axes.
    r = jnp.arange(1, 10, dtype=jnp.float32).reshape(3, 3).T.reshape(1, 3, 3, 1)
    reflected = ops.pad_reflect(r, ((1, 2), (1, 2)))[0, :, :, 0]
    np.testing.assert_array_equal(reflected[0], [5, 2, 5, 8, 5, 2])
    np.testing.assert_array_equal(reflected[:, 0], [5, 4, 5, 6, 5, 4])
    repeated = ops.pad_repeat(r, ((1, 2), (3, 4)))[0, :, :, 0]
    np.testing.assert_array_equal(repeated[0], [1, 1, 1, 1, 4, 7, 7, 7, 7, 7])
    np.testing.assert_array_equal(repeated[-1], [3, 3, 3, 3, 6, 9, 9, 9, 9, 9])


@any_precision
@pytest.mark.parametrize("pad", PADS)
@pytest.mark.parametrize("padding", [1, 0, (1, 2), ((2, 0), 1), [(0, 1), (2, 2)], np.int64(1)])
def test_padding_equals_numpy_and_leaves_batch_and_channels(pad, padding, dtype):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    entries = padding if isinstance(padding, tuple | list) else (padding, padding)
    pairs = [p if isinstance(p, tuple) else (p, p) for p in entries]
    want = np.pad(np.asarray(jnp.asarray(x, dtype)), ((0, 0), *pairs, (0, 0)), NUMPY_MODES[pad])
    np.testing.assert_array_equal(pad(jnp.asarray(x, dtype), padding), want)


@pytest.mark.parametrize("pad", ALL)
@pytest.mark.parametrize("at", [jnp.int32, jnp.bool_, jnp.bfloat16, jnp.complex64])
def test_padding_keeps_the_dtype(pad, at):
    assert pad(jnp.ones((1, 3, 1), at), 1).dtype == at


@pytest.mark.parametrize("pad", ALL)
def test_padding_of_an_empty_batch_is_empty(pad):
    assert pad(jnp.ones((0, 3, 2), jnp.float32), 1).shape == (0, 5, 2)


@any_precision
@pytest.mark.parametrize("pad", ALL)
def test_padding_as_a_linear_map_has_the_gradient_of_its_copies(pad, dtype):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, 3, 1)), dtype)
    weight = jnp.arange(6, dtype=dtype).reshape(1, 6, 1)
    gradient = jax.grad(lambda x: jnp.sum(weight * pad(x, ((2, 1),))))(x)
    index = jnp.arange(1, 4, dtype=jnp.int32).reshape(1, 3, 1)
    copies = np.asarray(pad(index, ((2, 1),)))[0, :, 0]
    want = [sum(k for k, copy in enumerate(copies) if copy == i) for i in (1, 2, 3)]
    np.testing.assert_allclose(gradient[0, :, 0], want, rtol=1e-6)


def test_pad_constant_takes_any_number_of_the_dtype():
    assert listed(ops.pad_constant(line(1), 1, 2.5)) == [2.5, 1.0, 2.5]
    assert listed(ops.pad_constant(line(1), 1, -jnp.inf)) == [-jnp.inf, 1.0, -jnp.inf]
    assert listed(ops.pad_constant(line(1, jnp.int32), 1, 7)) == [7, 1, 7]
    assert listed(ops.pad_constant(line(1, jnp.uint8), 1, 255)) == [255, 1, 255]


@needs_x64
def test_pad_constant_widens_with_an_array_and_keeps_its_digits():
    y = ops.pad_constant(line(1), 1, jnp.asarray(0.1, jnp.float64))
    assert y.dtype == jnp.float64 and y[0, 0, 0] == 0.1
    assert ops.pad_constant(line(1, jnp.float64), 1, 0.1)[0, 0, 0] == 0.1


def test_pad_constant_refuses_a_number_the_dtype_cannot_hold():
    with pytest.raises(TypeError, match=r"`value` to be a number that int32 holds, got 0\.5"):
        ops.pad_constant(line(1, jnp.int32), 1, 0.5)
    with pytest.raises(TypeError, match="a number that float32 holds, got 1j"):
        ops.pad_constant(line(1), 1, 1j)
    with pytest.raises(ValueError, match=r"`value` of shape \(\), got \(2,\)"):
        ops.pad_constant(line(1), 1, jnp.ones(2, jnp.float32))


@any_precision
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_pad_constant_has_derivatives_by_its_value_alone(dtype):
    x = jnp.asarray([[[jnp.inf], [-0.0], [jnp.nan]]], dtype)

    def around(value):
        return ops.pad_constant(x, ((400, 300),), value)

    value = jnp.asarray(2.0, dtype)
    np.testing.assert_array_equal(*(around(v).astype(jnp.float32) for v in (value, 2.0)))
    assert jnp.signbit(around(value)[0, 401, 0])
    total = lambda v: jnp.sum(jnp.where(jnp.isfinite(around(v)), around(v), 0))
    by_value = jax.jit(jax.grad(total))(value)
    assert (by_value.item(), by_value.dtype) == (700.0, dtype)
    slopes = jax.jit(jax.jacfwd(around))(value)
    np.testing.assert_array_equal(slopes[0, 400:403, 0], [0.0, 0.0, 0.0])
    threefold = lambda x: jnp.sum(3 * ops.pad_constant(x, 1, value))
    by_x = jax.jit(jax.grad(threefold))(jnp.ones((1, 2, 1), dtype))
    np.testing.assert_array_equal(by_x, jnp.full((1, 2, 1), 3, dtype))


@pytest.mark.parametrize("pad", ALL)
@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_padding_without_spatial_axes_is_an_error(pad, shape):
    with pytest.raises(ValueError, match=rf"`{pad.__name__}` expects `x` \(batch, \*spatial"):
        pad(jnp.ones(shape, jnp.float32), 1)


@pytest.mark.parametrize("pad", ALL)
@pytest.mark.parametrize("padding", [-1, (1, 2), ((1, -2),), ((1, 2, 3),), 1.5, ((1.0, 2.0),)])
def test_padding_that_does_not_fit_is_an_error(pad, padding):
    with pytest.raises(ValueError, match=r"`padding` of at least 0: a number, or for each of 1"):
        pad(line(3), padding)


@pytest.mark.parametrize(
    ("pad", "limit"), [(ops.pad_reflect, 2), (ops.pad_symmetric, 3), (ops.pad_circular, 3)]
)
def test_padding_is_limited_by_what_there_is_to_copy(pad, limit):
    assert pad(line(3), limit).shape == (1, 3 + 2 * limit, 1)
    with pytest.raises(ValueError, match=rf"at most {limit} along an axis of size 3, got \(0, "):
        pad(line(3), ((0, limit + 1),))
    with pytest.raises(ValueError, match="at most 0 along an axis of size 0"):
        pad(line(0), 1)


def test_pad_repeat_needs_an_element_to_repeat():
    with pytest.raises(ValueError, match=r"an element to repeat .* got `x` of shape \(1, 0, 1\)"):
        ops.pad_repeat(line(0), 1)
    assert ops.pad_repeat(line(0), 0).shape == (1, 0, 1)


def test_padding_in_float64_needs_x64():
    x, wide = line(3), np.ones((1, 3, 1))
    weight = jnp.ones((3, 1, 1), jnp.float32)
    calls = {
        "`pad_constant`: `x`": lambda: ops.pad_constant(wide, 1, 1.0),
        "`pad_constant`: `value`": lambda: ops.pad_constant(x, 1, np.float64(1.0)),
        "`conv`: `x`": lambda: ops.conv(wide, weight, padding=1, padding_mode="reflect"),
    }
    for where, call in calls.items():
        text = f"^{where}, a NumPy array, is float64, but jax_enable_x64 is off"
        with jax.enable_x64(False), pytest.raises(TypeError, match=text):
            call()
