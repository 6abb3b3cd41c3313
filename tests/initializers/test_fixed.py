import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from sciml_lux import initializers, nn, setup
from sciml_lux.initializers import rand32, randC32, randn32, randnC32, zeros32
from tests.conftest import X64, needs_x32

KEY = jax.random.key(0)
REAL = {"16": "float16", "32": "float32", "64": "float64"}
DTYPES = REAL | {"C32": "complex64", "C64": "complex128"}
FAMILIES = ("zeros", "ones", "rand", "randn")
OWN = {family + bits: jnp.dtype(DTYPES[bits]) for family in FAMILIES for bits in DTYPES}
NAMES = list(OWN)
HERE = [name for name in NAMES if X64 or not name.endswith("64")]


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("shape", [(2, 3), (0, 3)])
def test_dtype_is_that_of_the_name(name, shape):
    init = getattr(initializers, name)
    for arguments in ((KEY, shape), (KEY, shape, OWN[name])):
        draw = init(*arguments)
        assert draw.shape == shape and draw.dtype == OWN[name]


@pytest.mark.parametrize("name", HERE)
def test_another_dtype_is_an_error(name):
    other = jnp.dtype("float16" if OWN[name] != "float16" else "float32")
    message = (
        rf"`{name}` expects the dtype in its name, {OWN[name]}, got {other}.* dtype={OWN[name]}"
    )
    with pytest.raises(TypeError, match=message):
        getattr(initializers, name)(KEY, (2,), other)


@needs_x32
@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("64")])
def test_64_bits_need_the_switch(name):
    with pytest.raises(TypeError, match=rf"`{name}` is {OWN[name]}, but jax_enable_x64 is off"):
        getattr(initializers, name)(KEY, (2,))


@pytest.mark.parametrize("name", NAMES)
def test_fixed_initialisers_pickle_print_and_hash(name):
    init = getattr(initializers, name)
    twin = pickle.loads(pickle.dumps(init))
    assert twin == init and hash(twin) == hash(init)
    assert repr(init) == init.__name__ == name


def test_fixed_initialisers_differ_by_name():
    assert len({getattr(initializers, name) for name in NAMES}) == len(NAMES)


def test_constants_are_constant():
    for value, family in enumerate(("zeros", "ones")):
        for name in (name for name in HERE if name.startswith(family)):
            assert (getattr(initializers, name)(KEY, (3,)) == value).all()


def test_rand_is_even_from_zero_to_one():
    sample = np.asarray(rand32(KEY, (4000,)), np.float64)
    assert sample.min() >= 0 and sample.max() < 1
    assert scipy.stats.kstest(sample, "uniform").pvalue > 1e-3
    parts = np.asarray(randC32(KEY, (4000,)))
    for part in (parts.real, parts.imag):
        assert scipy.stats.kstest(part.astype(np.float64), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(parts.real, parts.imag)[0, 1]) < 0.06


def test_randn_is_normal_with_variance_one():
    assert scipy.stats.kstest(np.asarray(randn32(KEY, (4000,)), np.float64), "norm").pvalue > 1e-3
    parts = np.asarray(randnC32(KEY, (4000,)))
    law = scipy.stats.norm(0, 0.5**0.5)
    for part in (parts.real, parts.imag):
        assert scipy.stats.kstest(part.astype(np.float64), law.cdf).pvalue > 1e-3


def test_fixed_initialisers_as_options_of_a_layer():
    layer = nn.Dense(2, 3, init_weight=randn32, init_bias=zeros32)
    ps, _ = setup(0, layer, dtype=jnp.float32)
    assert (ps.bias == 0).all() and ps.weight.dtype == jnp.float32
    assert repr(layer) == "Dense(2, 3, init_weight=randn32, init_bias=zeros32)"
    with pytest.raises(
        TypeError, match="`randn32` expects the dtype in its name, float32, got float16"
    ):
        setup(0, layer, dtype=jnp.float16)
