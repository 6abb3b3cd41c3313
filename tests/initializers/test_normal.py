import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sciml_lux.initializers import (
    glorot_normal,
    kaiming_normal,
    normal,
    orthogonal,
    sparse_init,
    truncated_normal,
)
from tests.conftest import needs_x64

KEY = jax.random.key(0)
F32 = jnp.dtype(jnp.float32)
C64 = jnp.dtype(jnp.complex64)

# shape, fan in, fan out by hand
FANS = [((4096,), 1, 4096), ((64, 80), 80, 64), ((32, 16, 3, 3), 16 * 9, 32 * 9)]


def deviations(shape, fan_in, fan_out):
    return [
        (shape, normal, 1.0),
        (shape, normal(std=0.25), 0.25),
        (shape, kaiming_normal, math.sqrt(2.0 / fan_in)),
        (shape, kaiming_normal(gain=0.5), 0.5 / math.sqrt(fan_in)),
        (shape, glorot_normal, math.sqrt(2.0 / (fan_in + fan_out))),
        (shape, glorot_normal(gain=3.0), 3.0 * math.sqrt(2.0 / (fan_in + fan_out))),
    ]


CASES = [case for row in FANS for case in deviations(*row)]


def assert_follows(sample, law):
    sample = np.asarray(sample, np.float64).ravel()
    assert scipy.stats.kstest(sample, law.cdf).pvalue > 1e-3
    for moment in (1, 2, 4):
        error = 5 * math.sqrt(law.moment(2 * moment) / sample.size)
        assert abs(np.mean(sample**moment) - law.moment(moment)) < error


@pytest.mark.parametrize(("shape", "init", "std"), CASES)
def test_draws_are_normal_with_the_deviation_of_the_fans(shape, init, std):
    assert_follows(init(KEY, shape, F32), scipy.stats.norm(0, std))


def test_normal_has_the_mean_it_is_given():
    assert_follows(normal(mean=3.0, std=0.5)(KEY, (4000,), F32), scipy.stats.norm(3.0, 0.5))


@pytest.mark.parametrize(("shape", "init", "std"), CASES[6:])
def test_complex_draws_have_the_same_variance_in_all(shape, init, std):
    sample = np.asarray(init(KEY, shape, C64))
    np.testing.assert_allclose(np.mean(np.abs(sample) ** 2), std**2, rtol=0.07)
    part = scipy.stats.norm(0, std / math.sqrt(2.0))
    assert_follows(sample.real, part)
    assert_follows(sample.imag, part)
    assert abs(np.corrcoef(sample.real.ravel(), sample.imag.ravel())[0, 1]) < 0.06


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"std": 0.5},
        {"mean": 1.0, "std": 2.0, "lower": 0.5, "upper": 4.0},
        {"mean": -3.0, "std": 1.0, "lower": -2.0, "upper": 5.0},
        {"upper": float("inf")},
    ],
)
def test_truncated_draws_follow_their_law_within_absolute_limits(options):
    full = {"mean": 0.0, "std": 1.0, "lower": -2.0, "upper": 2.0} | options
    mean, std, lower, upper = (full[name] for name in ("mean", "std", "lower", "upper"))
    sample = truncated_normal(**options)(KEY, (6000,), F32)
    assert lower <= sample.min() and sample.max() <= upper
    law = scipy.stats.truncnorm((lower - mean) / std, (upper - mean) / std, mean, std)
    assert_follows(sample, law)


@pytest.mark.parametrize("at", ["float16", "bfloat16", "float32"])
def test_truncated_draws_keep_the_dtype_and_the_limits(at):
    init = truncated_normal(mean=0.1, std=0.3, lower=-0.2, upper=0.2)
    sample = init(KEY, (2000,), jnp.dtype(at))
    limit = float(jnp.asarray(0.2, at))
    assert sample.dtype == at
    assert -limit <= float(sample.min()) and float(sample.max()) <= limit
    assert init(KEY, (0, 3), jnp.dtype(at)).shape == (0, 3)


@needs_x64
def test_truncated_float64_draws_have_more_digits_than_float32():
    draw = np.asarray(truncated_normal(KEY, (1000,), jnp.dtype(jnp.float64)))
    assert np.mean(draw == draw.astype(np.float32)) < 0.01


@pytest.mark.parametrize("mean", [-4.5, 4.5])
def test_truncated_normal_warns_of_a_mean_far_outside(mean):
    with pytest.warns(
        UserWarning, match=rf"its mean, {mean}, more than two standard .* \[-2\.0, 2"
    ):
        sample = truncated_normal(mean=mean)(KEY, (100,), F32)
    assert jnp.isfinite(sample).all() and jnp.abs(sample).max() <= 2


def test_truncated_normal_does_not_warn_at_two_deviations():
    truncated_normal(mean=4.0)(KEY, (3,), F32)
    truncated_normal(mean=-4.0)(KEY, (3,), F32)


@pytest.mark.parametrize("options", [{"std": 0.0}, {"std": -1.0}, {"lower": 2.0}, {"upper": -3.0}])
def test_truncated_normal_needs_a_deviation_and_limits_in_order(options):
    with pytest.raises(
        ValueError, match="expects `std` above 0 and `lower` below `upper`, got std"
    ):
        truncated_normal(**options)(KEY, (3,), F32)


def test_truncated_normal_is_real():
    with pytest.raises(
        TypeError, match="`truncated_normal` expects a floating dtype, got complex64"
    ):
        truncated_normal(KEY, (3,), C64)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (7, 2, 3)])
@pytest.mark.parametrize("at", ["float32", "complex64", "bfloat16"])
def test_orthogonal_rows_or_columns_are_orthonormal(shape, at):
    weight = orthogonal(gain=2.0)(KEY, shape, jnp.dtype(at))
    assert weight.shape == shape and weight.dtype == at
    assert gram_error(weight, 2.0) < 20 * float(jnp.finfo(at).eps)


@needs_x64
@pytest.mark.parametrize(
    ("shape", "at"), [((5, 3), "float64"), ((2, 3, 2), "float64"), ((3, 5), "complex128")]
)
def test_orthogonal_in_float64_is_so_to_its_digits(shape, at):
    weight = orthogonal(KEY, shape, jnp.dtype(at))
    assert gram_error(weight, 1.0) < 1e-14
    part = np.asarray(weight.real)
    assert gram_error(part.astype(np.float32), 1.0) > 1e-9


def gram_error(weight, gain):
    """How far the rows, or columns where they are fewer, are from orthonormal."""
    wide = np.complex128 if np.iscomplexobj(weight) else np.float64
    matrix = np.asarray(weight).astype(wide).reshape(weight.shape[0], -1) / gain
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return np.abs(tall.conj().T @ tall - np.eye(tall.shape[1])).max()


def test_orthogonal_matrices_are_drawn_evenly():
    # Haar measure: an entry of a 2 x 2 rotation or reflection is the cosine of an even angle.
    keys = jax.random.split(KEY, 3000)
    draw = jax.vmap(lambda key: orthogonal(key, (2, 2), F32))(keys)
    for i in (0, 1):
        for j in (0, 1):
            angles = np.arccos(np.clip(np.asarray(draw[:, i, j], np.float64), -1, 1))
            assert scipy.stats.kstest(angles / np.pi, "uniform").pvalue > 1e-3
    assert abs(np.mean(np.linalg.det(np.asarray(draw, np.float64)))) < 0.08


def test_orthogonal_needs_two_axes():
    with pytest.raises(ValueError, match=r"a shape of two axes or more, got \(3,\)"):
        orthogonal(KEY, (3,), F32)
    assert orthogonal(KEY, (0, 3), F32).shape == (0, 3)


@pytest.mark.parametrize(("sparsity", "zeros"), [(0.0, 0), (0.3, 12), (0.31, 13), (1.0, 40)])
@pytest.mark.parametrize("at", ["float32", "bfloat16", "complex64"])
def test_sparse_columns_have_so_many_zeros(sparsity, zeros, at):
    weight = np.asarray(sparse_init(sparsity=sparsity)(KEY, (40, 25), jnp.dtype(at)))
    np.testing.assert_array_equal((weight == 0).sum(0), [zeros] * 25)
    assert weight.dtype == jnp.dtype(at)


def test_sparse_zeros_are_counted_as_they_are_meant():
    weight = sparse_init(sparsity=0.07)(KEY, (100, 4), F32)
    np.testing.assert_array_equal((weight == 0).sum(0), [7] * 4)


def test_sparse_zeros_are_anywhere_and_the_rest_is_normal():
    weight = np.asarray(sparse_init(sparsity=0.25, std=0.5)(KEY, (40, 400), F32))
    zeros = (weight == 0).sum(1)
    assert zeros.min() > 60 and zeros.max() < 140
    assert len({tuple(column) for column in (weight == 0).T}) > 390
    assert_follows(weight[weight != 0], scipy.stats.norm(0, 0.5))


def test_sparse_init_has_a_small_deviation_unless_told():
    weight = np.asarray(sparse_init(sparsity=0.0)(KEY, (40, 40), F32))
    np.testing.assert_allclose(weight.std(), 0.01, rtol=0.07)


def test_sparse_init_answers_bad_input():
    with pytest.raises(ValueError, match=r"`sparse_init` expects a shape of two axes, got \(3,\)"):
        sparse_init(sparsity=0.5)(KEY, (3,), F32)
    with pytest.raises(ValueError, match=r"expects `sparsity` from 0 to 1, got 1\.5"):
        sparse_init(sparsity=1.5)(KEY, (3, 3), F32)
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'sparsity'"):
        sparse_init(KEY, (3, 3), F32)
    assert sparse_init(sparsity=0.5)(KEY, (0, 3), F32).shape == (0, 3)
    assert sparse_init(sparsity=0.5)(KEY, (3, 0), F32).shape == (3, 0)
