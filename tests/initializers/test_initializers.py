import copy
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sciml_lux import nn, setup
from sciml_lux.initializers import (
    Initializer,
    glorot_normal,
    glorot_uniform,
    identity_init,
    initializer,
    kaiming_normal,
    kaiming_uniform,
    normal,
    ones,
    orthogonal,
    sparse_init,
    truncated_normal,
    uniform,
    zeros,
)
from tests.conftest import X64, needs_x64

any_precision = pytest.mark.any_precision

KEY = jax.random.key(0)
F32 = jnp.dtype(jnp.float32)
UNIFORM = [uniform, kaiming_uniform, glorot_uniform]
NORMAL = [normal, kaiming_normal, glorot_normal]
ALL = [*UNIFORM, *NORMAL, zeros, ones, identity_init]
DTYPES = [jnp.float16, jnp.bfloat16, jnp.float32, jnp.complex64]
if X64:
    DTYPES += [jnp.float64, jnp.complex128]

# shape, fan in, fan out by hand
FANS = [
    ((4096,), 1, 4096),
    ((64, 80), 80, 64),
    ((32, 16, 3, 3), 16 * 9, 32 * 9),
]


@initializer
def steps(key, shape, dtype, *, start=0.0, step=1.0):
    """An initialiser of the user's own."""
    return start + step * jnp.arange(math.prod(shape), dtype=dtype).reshape(shape)


def bounds(shape_fan):
    shape, fan_in, fan_out = shape_fan
    return shape, [
        (uniform, 1.0),
        (uniform(bound=0.25), 0.25),
        (kaiming_uniform, math.sqrt(2.0) * math.sqrt(3.0 / fan_in)),
        (kaiming_uniform(gain=0.5), 0.5 * math.sqrt(3.0 / fan_in)),
        (glorot_uniform, math.sqrt(6.0 / (fan_in + fan_out))),
        (glorot_uniform(gain=3.0), 3.0 * math.sqrt(6.0 / (fan_in + fan_out))),
    ]


CASES = [(shape, init, bound) for shape, row in map(bounds, FANS) for init, bound in row]


@pytest.mark.parametrize(("shape", "init", "bound"), CASES)
def test_draws_are_uniform_within_the_bound(shape, init, bound):
    sample = np.asarray(init(KEY, shape, F32), np.float64)
    assert sample.shape == shape
    assert 0.99 * bound < np.abs(sample).max() <= bound * (1 + 1e-6)
    np.testing.assert_allclose(sample.var(), bound**2 / 3, rtol=0.07)
    law = scipy.stats.uniform(-bound, 2 * bound)
    assert scipy.stats.kstest(sample.ravel(), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize(("shape", "init", "bound"), CASES[6:12])
def test_complex_draws_share_the_variance_of_real_ones(shape, init, bound):
    sample = np.asarray(init(KEY, shape, jnp.dtype(jnp.complex64)))
    np.testing.assert_allclose(np.mean(np.abs(sample) ** 2), bound**2 / 3, rtol=0.07)
    np.testing.assert_allclose(sample.real.var(), sample.imag.var(), rtol=0.07)
    assert max(np.abs(sample.real).max(), np.abs(sample.imag).max()) <= bound / math.sqrt(2) * 1.001
    assert abs(np.corrcoef(sample.real.ravel(), sample.imag.ravel())[0, 1]) < 0.06


def test_zeros_and_ones():
    np.testing.assert_array_equal(zeros(KEY, (2, 3), F32), np.zeros((2, 3)))
    np.testing.assert_array_equal(ones(KEY, (2, 3), F32), np.ones((2, 3)))
    np.testing.assert_array_equal(ones(KEY, (2,), jnp.dtype(jnp.complex64)), [1 + 0j, 1 + 0j])


@pytest.mark.parametrize("init", ALL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_the_one_asked_for(init, dtype):
    assert init(KEY, (3, 2), jnp.dtype(dtype)).dtype == jnp.dtype(dtype)


@any_precision
@pytest.mark.parametrize("init", ALL)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3), ()])
def test_zero_size_and_scalar_shapes(init, shape):
    assert init(KEY, shape, F32).shape == shape
    assert init(KEY, shape, jnp.dtype(jnp.complex64)).shape == shape


@pytest.mark.parametrize("init", [*UNIFORM, *NORMAL])
def test_draws_follow_the_key(init):
    same, other = init(KEY, (4,), F32), init(jax.random.key(1), (4,), F32)
    np.testing.assert_array_equal(same, init(jax.random.key(0), (4,), F32))
    assert not jnp.array_equal(same, other)


def test_fans_follow_the_axes_that_are_named():
    # The same weight with its axes in another order: (3, 3, in, out).
    options = {"in_axis": 2, "out_axis": -1}
    for init in (kaiming_uniform, kaiming_normal, glorot_uniform, glorot_normal):
        ours = init(KEY, (32, 16, 3, 3), F32)
        theirs = init(KEY, (3, 3, 16, 32), F32, **options)
        np.testing.assert_allclose(jnp.std(ours), jnp.std(theirs), rtol=1e-6)
        np.testing.assert_array_equal(ours.ravel(), theirs.ravel())
        swapped = init(KEY, (32, 16, 3, 3), F32, in_axis=0, out_axis=1)
        if init in (kaiming_uniform, kaiming_normal):
            np.testing.assert_allclose(swapped * 2**0.5, ours, rtol=1e-6, atol=1e-7)
        else:
            np.testing.assert_array_equal(swapped, ours)


@pytest.mark.parametrize("init", [kaiming_uniform, kaiming_normal, glorot_uniform, glorot_normal])
@pytest.mark.parametrize("axes", [(0, 0), (1, -2), (3, 0), (0, -4)])
def test_axes_that_are_not_there_or_equal_raise(init, axes):
    shape = (4, 4, 2) if axes != (1, -2) else (4, 4, 3)
    with pytest.raises(ValueError, match=rf"`{init.__name__}` expects `in_axis` and `out_axis` to"):
        init(in_axis=axes[0], out_axis=axes[1])(KEY, shape, F32)
    assert init(in_axis=axes[0], out_axis=axes[1])(KEY, (4,), F32).shape == (4,)


@needs_x64
@pytest.mark.parametrize("init", [*UNIFORM, *NORMAL])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_float64_draws_have_more_digits_than_float32(init, dtype):
    draw = np.asarray(init(KEY, (32, 32), jnp.dtype(dtype)))
    part = draw.real if dtype == "complex128" else draw
    narrow = lambda a: np.mean(a == a.astype(np.float32))
    assert narrow(part) < 0.01
    # Its twin, drawn in float32, is found out.
    cut = init(KEY, (32, 32), F32).astype(jnp.float64)
    assert narrow(np.asarray(cut)) == 1.0
    # Bits down to 2^-50 of the scale, both ways round.
    tails = (part / np.abs(part).max() * 2.0**40) % 1.0
    assert 0.4 < np.mean(tails > 0.5) < 0.6


def test_options_at_the_call_equal_options_before_it():
    left = kaiming_uniform(KEY, (4, 4), F32, gain=0.5)
    np.testing.assert_array_equal(left, kaiming_uniform(gain=0.5)(KEY, (4, 4), F32))


def test_options_are_set_one_after_another():
    init = steps(start=2.0)(step=0.5)
    assert init == steps(start=2.0, step=0.5)
    np.testing.assert_array_equal(init(KEY, (3,), F32), [2.0, 2.5, 3.0])
    np.testing.assert_array_equal(init(KEY, (3,), F32, step=1.0), [2.0, 3.0, 4.0])
    assert init(step=2.0) == steps(start=2.0, step=2.0)


NUMPY_OPTIONS = [
    uniform(bound=np.float64(0.5)),
    kaiming_uniform(gain=np.sqrt(2.0)),
    glorot_uniform(gain=np.sqrt(2.0)),
    normal(mean=np.float64(1.0), std=np.float64(0.1)),
    kaiming_normal(gain=np.sqrt(2.0)),
    glorot_normal(gain=np.sqrt(2.0)),
    truncated_normal(mean=np.float64(0.1), std=np.float64(0.2), lower=np.float64(-1.0)),
    orthogonal(gain=np.sqrt(2.0)),
    identity_init(gain=np.sqrt(2.0), shift=np.int64(1)),
    sparse_init(sparsity=np.float64(0.1), std=np.float64(0.1)),
    steps(step=np.float64(2.0)),
]


@pytest.mark.parametrize("init", NUMPY_OPTIONS)
@pytest.mark.parametrize("promotion", ["strict", "standard"])
def test_numpy_options_bring_no_dtype(init, promotion):
    with jax.numpy_dtype_promotion(promotion):
        draw = init(KEY, (4, 3), F32)
        again = Initializer(init.function)(
            KEY, (4, 3), F32, **{name: np.asarray(value)[()] for name, value in init.options}
        )
    assert draw.dtype == again.dtype == F32
    np.testing.assert_array_equal(draw, again)
    assert "np." not in repr(init)


def test_call_without_options_is_the_same_initialiser():
    assert uniform() == uniform


def test_unknown_option_raises_when_it_is_set_or_drawn():
    with pytest.raises(TypeError, match="bond"):
        uniform(bond=2.0)(KEY, (2,), F32)


def test_equality_is_by_name_and_options():
    assert uniform(bound=2.0) == uniform(bound=2.0) != uniform(bound=3.0)
    assert hash(uniform(bound=2.0)) == hash(uniform(bound=2.0))
    assert uniform != zeros
    assert steps(start=1.0, step=2.0) == steps(step=2.0, start=1.0)


def test_options_cannot_be_changed():
    with pytest.raises(AttributeError, match="cannot assign to field 'options'"):
        uniform.options = ()


@pytest.mark.parametrize("init", [*ALL, kaiming_uniform(gain=0.5), steps(step=0.5), steps])
def test_pickle_and_copies_are_equal(init):
    for twin in (pickle.loads(pickle.dumps(init)), copy.copy(init), copy.deepcopy(init)):
        assert type(twin) is Initializer and twin == init and hash(twin) == hash(init)


@pytest.mark.parametrize(
    ("init", "text"),
    [
        (zeros, "zeros"),
        (uniform(bound=0.5), "uniform(bound=0.5)"),
        (steps(step=2.0, start=1.0), "steps(start=1.0, step=2.0)"),
    ],
)
def test_repr_and_name_are_what_one_would_type(init, text):
    assert repr(init) == text and init.__name__ == text


def test_initialisers_as_options_of_a_layer():
    model = nn.Dense(2, 3, init_weight=steps(step=0.5), init_bias=zeros)
    ps, _ = setup(0, model)
    np.testing.assert_array_equal(ps.weight, [[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]])
    np.testing.assert_array_equal(ps.bias, [0.0, 0.0, 0.0])
    assert repr(model) == "Dense(2, 3, init_weight=steps(step=0.5), init_bias=zeros)"
    assert model == nn.Dense(2, 3, init_weight=steps(step=0.5), init_bias=zeros)
    assert pickle.loads(pickle.dumps(model)) == model


def test_initialisers_are_traced():
    shape = jax.eval_shape(lambda key: glorot_uniform(key, (2, 3), F32), KEY)
    assert shape == jax.ShapeDtypeStruct((2, 3), F32)
