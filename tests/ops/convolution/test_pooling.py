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


def listed(y):
    return y[0, :, 0].tolist()


def gradient(pool, x):
    return listed(jax.grad(lambda x: jnp.sum(pool(x)))(x))


POOLS = [ops.max_pool, ops.mean_pool, ops.lp_pool]


@any_precision
def test_pools_by_hand(dtype):
    x = line(1, -3, 2, 4, 0, 5, dtype=dtype)
    assert listed(ops.max_pool(x, (2,))) == [1.0, 4.0, 5.0]
    assert listed(ops.max_pool(x, (3,), stride=2, padding=((0, 1),))) == [2.0, 4.0, 5.0]
    assert listed(ops.max_pool(x, (2,), stride=1, dilation=3)) == [4.0, 0.0, 5.0]
    assert listed(ops.mean_pool(x, (2,))) == [-1.0, 3.0, 2.5]
    assert listed(ops.mean_pool(x, (2,), stride=1, dilation=3)) == [2.5, -1.5, 3.5]
    assert listed(ops.lp_pool(x, (2,), p=1)) == [4.0, 6.0, 5.0]
    assert listed(ops.lp_pool(line(3, -4, 0, 5), (2,))) == [5.0, 5.0]


def test_mean_pool_counts_padding_as_zeros_and_max_pool_does_not():
    x = line(-1, -2)
    assert listed(ops.mean_pool(x, (2,), padding=1)) == [-0.5, -1.0]
    assert listed(ops.max_pool(x, (2,), padding=1)) == [-1.0, -2.0]


def of_power(p):
    # Torch takes powers of numbers, so it was given their magnitudes.
    return lambda x: ops.lp_pool(x, (3, 2), p=p, stride=(1, 2))


CASES = {
    "max_pool": lambda x: ops.max_pool(x, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(1, 2)),
    "mean_pool": lambda x: ops.mean_pool(x, (3, 2), stride=(1, 2), padding=(1, 0)),
    "lp_pool": of_power(2),
    "lp_pool_of_three": of_power(3),
    "lp_pool_of_a_fraction": of_power(1.5),
}


@needs_x64
@pytest.mark.parametrize("case", CASES)
def test_pools_equal_torch_and_a_float32_twin_does_not(case):
    torch = load(f"convolution/{case}")
    x = jnp.asarray(torch["x"])
    y, pull = jax.vjp(CASES[case], x)
    np.testing.assert_allclose(y, torch["y"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        pull(jnp.asarray(torch["cotangent"]))[0], torch["d_x"], rtol=0, atol=1e-12
    )
    twin = CASES[case](x.astype(jnp.float32).astype(x.dtype))
    assert np.abs(np.asarray(twin) - torch["y"]).max() > 1e-10


@any_precision
@pytest.mark.parametrize("size", range(1, 10))
def test_max_pool_of_any_size_equals_numpy_and_the_first_of_equals_has_the_derivative(size):
    x = np.random.default_rng(size).integers(0, 3, 12).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(x, size)
    pool = lambda x: ops.max_pool(x, (size,), stride=1)
    np.testing.assert_array_equal(listed(pool(line(*x))), windows.max(1))
    want = np.bincount(windows.argmax(1) + np.arange(len(windows)), minlength=12)
    np.testing.assert_array_equal(gradient(pool, line(*x)), want)


@any_precision
def test_max_pool_of_equal_pixels_gives_the_derivative_to_the_first_in_the_order_of_the_array():
    x = jnp.asarray([[0, 1], [1, 1]], jnp.float32).reshape(1, 2, 2, 1)
    found = jax.grad(lambda x: jnp.sum(ops.max_pool(x, (2, 2))))(x)
    assert found[0, :, :, 0].tolist() == [[0.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_max_pool_keeps_nan_infinities_and_the_least_numbers(name):
    least = float(jnp.finfo(name).min)
    x = line(1, np.nan, least, least, -np.inf, -np.inf, np.inf, 0).astype(name)
    y = ops.max_pool(x, (2,)).astype(jnp.float32)
    np.testing.assert_array_equal(y[0, :, 0], [np.nan, least, -np.inf, np.inf])
    reverse = ops.max_pool(x[:, ::-1], (2,)).astype(jnp.float32)
    np.testing.assert_array_equal(reverse, y[:, ::-1])


@any_precision
def test_max_pool_differentiates_to_any_order_in_either_mode(dtype):
    x = line(0.5, 2, 3, -1, dtype=dtype)
    cube = lambda x: jnp.sum(ops.max_pool(x, (2,), stride=1, dilation=2) ** 3)
    want = jnp.zeros((4, 4), dtype).at[1, 1].set(12.0).at[2, 2].set(18.0)
    modes = [(jax.jacfwd, jax.jacrev), (jax.jacrev, jax.jacfwd), (jax.jacfwd, jax.jacfwd)]
    hessians = jax.jit(lambda x: [outer(inner(cube))(x) for outer, inner in modes])(x)
    for found in hessians:
        np.testing.assert_allclose(found[0, :, 0, 0, :, 0], want, rtol=1e-6)
    along = lambda x: jax.jvp(jax.grad(cube), (x,), (x,))[1]
    third = jax.jit(lambda x: jax.jvp(along, (x,), (jnp.ones_like(x),))[1])(x)
    np.testing.assert_allclose(third[0, :, 0], [0.0, 24.0, 36.0, 0.0], rtol=1e-6)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3])
def test_lp_pool_has_finite_derivatives_at_zeros(p, dtype):
    x = line(0, 0, 2, 0, dtype=dtype)
    pool = lambda x: ops.lp_pool(x, (2,), p=p)
    np.testing.assert_allclose(listed(pool(x)), [0.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(gradient(pool, x), [0.0, 0.0, 1.0, 0.0], atol=1e-6)
    # Only the Euclidean norm bends at 0 beside another number: the second derivative is 1 / y.
    bend = jnp.zeros((4, 4), dtype).at[3, 3].set(0.5 if p == 2 else 0.0)
    hessian = jax.jit(jax.hessian(lambda x: jnp.sum(pool(x))))(x)
    np.testing.assert_allclose(hessian[0, :, 0, 0, :, 0], bend, atol=1e-6)


def test_lp_pool_neither_overflows_nor_vanishes():
    x = line(3e30, -4e30, 3e-30, 4e-30)
    np.testing.assert_allclose(listed(ops.lp_pool(x, (2,))), [5e30, 5e-30], rtol=1e-6)
    found = gradient(lambda x: ops.lp_pool(x, (2,)), x)
    np.testing.assert_allclose(found, [0.6, -0.8, 0.6, 0.8], rtol=1e-6)
    y = ops.lp_pool(line(np.inf, -1, np.nan, 1), (2,))
    np.testing.assert_array_equal(listed(y), [np.inf, np.nan])


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_mean_and_lp_pool_accumulate_half_precision_in_float32(name):
    # 4096 numbers of 1.5: in float16 or bfloat16 the sum would stop growing, or overflow.
    x = jnp.full((1, 4096, 1), 1.5, name)
    assert ops.mean_pool(x, (4096,)).astype(jnp.float32).item() == 1.5
    assert ops.lp_pool(x, (4096,)).astype(jnp.float32).item() == 96.0
    assert ops.mean_pool(x, (4,)).dtype == ops.lp_pool(x, (4,)).dtype == name


def test_mean_pool_of_complex_numbers():
    y = ops.mean_pool(line(1 + 2j, 3, 1j, 1, dtype=jnp.complex64), (2,))
    assert y.dtype == jnp.complex64
    assert listed(y) == [2 + 1j, 0.5 + 0.5j]


IMAGE = jnp.ones((1, 4, 4, 2), jnp.float32)
BAD = [
    (
        {"x": IMAGE[0]},
        ValueError,
        r"with 2 spatial axes .*got shape \(4, 4, 2\)\. Add a batch axis",
    ),
    ({"x": IMAGE.astype(jnp.int32)}, TypeError, "`x` to be floating.*, got int32"),
    ({"window": 2}, TypeError, "window to be a tuple of 1 to 3 integers.*got 2"),
    ({"window": (2,) * 4}, TypeError, r"window to be a tuple of 1 to 3.*got \(2, 2, 2, 2\)"),
    ({"window": (2, 0)}, ValueError, r"`window` of at least 1.*got \(2, 0\)"),
    ({"window": (5, 5)}, ValueError, r"window's \(5, 5\).*got \(4, 4\), with padding \(4, 4\)"),
    ({"stride": 0}, ValueError, "`stride` of at least 1.*got 0"),
    ({"dilation": 0}, ValueError, "`dilation` of at least 1.*got 0"),
    ({"padding": (1, -1)}, ValueError, r"`padding` of at least 0.*got \(1, -1\)"),
]


@pytest.mark.parametrize(("change", "error", "text"), BAD)
@pytest.mark.parametrize("pool", POOLS)
def test_pools_answer_bad_input(pool, change, error, text):
    arguments = {"x": IMAGE, "window": (2, 2)} | change
    with pytest.raises(error, match=f"`{pool.__name__}` expects .*{text}"):
        pool(**arguments)


@pytest.mark.parametrize("padding", [2, ((0, 2), 0)])
def test_max_pool_of_a_window_in_the_padding_is_an_error(padding):
    text = r"every window to hold a number of `x`, got shape \(1, 4, 4, 2\).*Pad less"
    with pytest.raises(ValueError, match=text):
        ops.max_pool(IMAGE, (2, 2), padding=padding)


@pytest.mark.parametrize("p", [0, -1, np.inf, np.nan])
def test_lp_pool_power_out_of_bounds_is_an_error(p):
    with pytest.raises(
        ValueError, match="`lp_pool` expects `p` to be (a number above 0|finite), got"
    ):
        ops.lp_pool(IMAGE, (2, 2), p=p)


def test_lp_pool_power_that_is_no_number_is_an_error():
    with pytest.raises(TypeError, match="`lp_pool` expects `p` to be a number above 0, got '2'"):
        ops.lp_pool(IMAGE, (2, 2), p="2")
