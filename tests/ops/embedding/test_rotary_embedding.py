import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import X64, needs_x64

any_precision = pytest.mark.any_precision

mp = mpmath.mp.clone()
mp.dps = 40

POSITIONS = [0, 1, 2, 1000, 2047, 3071, 4094, 4095]


def exact(dim, positions, base=10000):
    """cos and sin in 40 digits."""
    angles = [
        [t * mp.mpf(base) ** (mp.mpf(-2 * i) / dim) for i in range(dim // 2)] for t in positions
    ]
    return tuple(np.asarray([[f(a) for a in row] for row in angles]) for f in (mp.cos, mp.sin))


def errors(found, want):
    return np.abs(np.vectorize(mp.mpf)(np.asarray(found, np.float64)) - want).astype(np.float64)


def test_caches_are_those_of_luxs_tests():
    cos, sin = ops.compute_rotary_embedding_params(16, 10)
    want = [1.0, 0.540302, -0.416147, -0.989992, -0.653644, 0.283662, 0.96017, 0.753902, -0.1455]
    np.testing.assert_allclose(cos[:9, 0], want, atol=1e-6)
    want = [0.412118, 0.291259, 0.783327, 0.280778, 0.0898785, 0.0284567, 0.00899988, 0.00284605]
    np.testing.assert_allclose(sin[9], want, atol=1e-6)
    doubled = ops.compute_rotary_embedding_params(16, 10, low_memory_variant=False)
    for half, full in zip((cos, sin), doubled, strict=True):
        np.testing.assert_array_equal(full, np.concatenate([half, half], axis=1))


@needs_x64
@pytest.mark.parametrize(("dim", "base"), [(16, 10000), (12, 500000.0), (6, 37)])
def test_float64_caches_have_all_digits_where_plain_float64_angles_have_not(dim, base):
    found = ops.compute_rotary_embedding_params(dim, 4096, base=base, dtype=jnp.float64)
    theta = base ** (-2.0 * np.arange(dim // 2) / dim)
    angles = np.asarray(POSITIONS)[:, None] * theta
    for cache, plain, want in zip(
        found, (np.cos(angles), np.sin(angles)), exact(dim, POSITIONS, base), strict=True
    ):
        assert cache.dtype == jnp.float64
        assert errors(cache[jnp.asarray(POSITIONS)], want).max() < 4e-16
        assert errors(plain, want).max() > 4e-15


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_narrower_caches_are_the_exact_ones_rounded(dtype):
    found = ops.compute_rotary_embedding_params(16, 4096, dtype=dtype)
    kind = jnp.dtype(dtype)
    for cache, want in zip(found, exact(16, POSITIONS), strict=True):
        rounded = want.astype(np.float64).astype(kind)
        np.testing.assert_array_equal(np.asarray(cache)[POSITIONS], rounded)
    # Angles in float32, as Lux has them, lose digits with the position.
    theta = jnp.asarray(10000 ** (-2.0 * np.arange(8) / 16), jnp.float32)
    plain = jnp.cos(4095 * theta)
    assert errors(plain, exact(16, [4095])[0][0]).max() > 1e-5


def test_rotation_turns_halves_by_hand(dtype):
    cos, sin = (jnp.asarray(a, dtype) for a in ([[1.0, 1.0], [0.0, 0.6]], [[0.0, 0.0], [1.0, 0.8]]))
    x = jnp.asarray([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]], dtype)
    y = ops.apply_rotary_embedding(x, cos, sin, seq_axis=0)
    want = [[1.0, 2.0, 3.0, 4.0], [-3.0, 1.2 - 3.2, 1.0, 2.4 + 1.6]]
    np.testing.assert_allclose(y, want, rtol=1e-6)


def test_rotation_with_either_cache_is_the_same_and_keeps_lengths(dtype):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 3, 8)), dtype)
    low, full = (
        ops.apply_rotary_embedding(
            x, *ops.compute_rotary_embedding_params(8, 9, dtype=dtype, low_memory_variant=variant)
        )
        for variant in (True, False)
    )
    np.testing.assert_array_equal(low, full)
    np.testing.assert_allclose((low**2).sum(-1), (x**2).sum(-1), rtol=1e-5)


@any_precision
def test_rotated_products_depend_on_the_distance_alone(dtype):
    cos, sin = ops.compute_rotary_embedding_params(8, 50, dtype=dtype)
    q, k = (jnp.asarray(np.random.default_rng(i).normal(size=(1, 1, 8)), dtype) for i in range(2))

    def product(m, n):
        turned = [
            ops.apply_rotary_embedding(a, cos, sin, positions=jnp.asarray([at]))
            for a, at in ((q, m), (k, n))
        ]
        return jnp.sum(turned[0] * turned[1])

    np.testing.assert_allclose(product(3, 1), product(45, 43), rtol=1e-4)
    assert abs(product(3, 1) - product(3, 2)) > 1e-3


@any_precision
def test_rotation_by_positions_is_that_of_the_rows(dtype):
    cos, sin = ops.compute_rotary_embedding_params(4, 6, dtype=dtype)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 3, 4)), dtype)
    whole = ops.apply_rotary_embedding(x, cos, sin)
    order = jnp.asarray([5, 0, 3])
    part = ops.apply_rotary_embedding(x[:, order], cos, sin, positions=order)
    np.testing.assert_array_equal(part, whole[:, order])
    moved = ops.apply_rotary_embedding(jnp.moveaxis(x, 1, 0), cos, sin, seq_axis=0)
    np.testing.assert_array_equal(jnp.moveaxis(moved, 0, 1), whole)


@pytest.mark.parametrize("outside", [6, 2**32 + 1])
def test_rotation_at_positions_outside_is_nan(outside, dtype):
    cos, sin = ops.compute_rotary_embedding_params(4, 6, dtype=dtype)
    x = jnp.ones((3, 1, 4), dtype)
    y = ops.apply_rotary_embedding(x, cos, sin, positions=np.asarray([-1, 5, outside]))
    np.testing.assert_array_equal(np.isnan(y[:, 0, 0]), [True, False, True])


@needs_x64
def test_rotation_is_as_wide_as_the_wider():
    cos, sin = ops.compute_rotary_embedding_params(4, 6, dtype=jnp.float64)
    assert ops.apply_rotary_embedding(jnp.ones((3, 1, 4), jnp.float32), cos, sin).dtype == "float64"


def test_rotary_parameters_refuse_what_they_cannot_mean():
    for arguments, base in (((3, 4), 10), ((-2, 4), 10), ((4, -1), 10), ((4, 4), 0)):
        with pytest.raises(ValueError, match="expects an even `head_dim`, a length .* got "):
            ops.compute_rotary_embedding_params(*arguments, base=base)
    with pytest.raises(
        TypeError, match="`compute_rotary_embedding_params`: `dtype` must be a float"
    ):
        ops.compute_rotary_embedding_params(4, 4, dtype=jnp.int32)
    if not X64:
        with pytest.raises(TypeError, match="jax_enable_x64 is off"):
            ops.compute_rotary_embedding_params(4, 4, dtype=jnp.float64)


def test_rotation_refuses_shapes_that_do_not_fit():
    cos, sin = ops.compute_rotary_embedding_params(4, 6)
    rotate = ops.apply_rotary_embedding
    x = jnp.ones((2, 3, 1, 4), jnp.float32)
    for axis in (-1, 3, -5, 4):
        with pytest.raises(
            ValueError, match=r"`seq_axis` to be an axis of `x` before the last, got"
        ):
            rotate(x, cos, sin, seq_axis=axis)
    text = r"an even last axis of `x` and two caches \(length, 3\) or \(length, 6\), got"
    with pytest.raises(ValueError, match=text):
        rotate(jnp.ones((2, 3, 1, 6), jnp.float32), cos, sin)
    with pytest.raises(
        ValueError, match=r"two caches .* got \(2, 3, 1, 4\), \(6, 2\) and \(5, 2\)"
    ):
        rotate(x, cos, sin[:5])
    with pytest.raises(ValueError, match="expects an even last axis"):
        rotate(x[..., :3], cos, sin)
    with pytest.raises(ValueError, match="expects at most 6 time steps, .* got 7"):
        rotate(jnp.ones((7, 1, 4), jnp.float32), cos, sin)
    with pytest.raises(ValueError, match=r"`positions` of shape \(3,\), .* got \(2,\)"):
        rotate(x, cos, sin, positions=jnp.asarray([0, 1]))
    with pytest.raises(TypeError, match="expects `positions` to be integers, got float32"):
        rotate(x, cos, sin, positions=jnp.ones(3, jnp.float32))


@any_precision
def test_rotation_differentiates_in_both_modes(dtype):
    cos, sin = ops.compute_rotary_embedding_params(4, 6, dtype=dtype)
    x = jnp.ones((3, 1, 4), dtype)
    f = lambda x: ops.apply_rotary_embedding(x, cos, sin)
    np.testing.assert_allclose(jax.jacfwd(f)(x), jax.jacrev(f)(x), rtol=1e-6)
