import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import sciml_lux as lux
from sciml_lux import nn
from sciml_lux.precision import resolution_probe
from tests.conftest import needs_x32, needs_x64

MODEL = nn.Chain(nn.Dense(3, 8, nn.tanh), nn.Dense(8, 2))


def cut(x):
    return x.astype(jnp.complex64 if jnp.iscomplexobj(x) else jnp.float32).astype(x.dtype)


@needs_x64
@pytest.mark.parametrize("seed", range(4))
def test_clean_model_has_all_its_resolution(seed):
    ps, st = lux.setup(seed, MODEL, dtype=jnp.float64)
    x = jax.random.normal(jax.random.key(seed), (5, 3), jnp.float64)
    assert resolution_probe(lambda x, ps: MODEL(x, ps, st)[0], x, ps, seed=seed) < 0.05


@needs_x64
@pytest.mark.parametrize("stage", ["input", "hidden", "callback"])
def test_hidden_float32_stage_is_found(stage):
    ps, st = lux.setup(0, MODEL, dtype=jnp.float64)
    x = jax.random.normal(jax.random.key(1), (5, 3), jnp.float64)

    def f(x):
        if stage == "input":
            return MODEL(cut(x), ps, st)[0]
        hidden, _ = MODEL.layer_1(x, ps.layer_1, st.layer_1)
        if stage == "hidden":
            return MODEL.layer_2(cut(hidden), ps.layer_2, st.layer_2)[0]
        shape = jax.ShapeDtypeStruct(hidden.shape, hidden.dtype)
        rounded = jax.pure_callback(
            lambda h: np.asarray(h, np.float32).astype(np.float64), shape, hidden
        )
        return MODEL.layer_2(rounded, ps.layer_2, st.layer_2)[0]

    assert resolution_probe(f, x) > 0.5


@needs_x64
@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: 100 * jnp.sum(jnp.sin(x)) + jnp.sum(cut(y)),
        lambda x, y: (jnp.sin(x), cut(y)),
        lambda x, y: cut(jnp.exp(x) * jnp.sum(y)),
        lambda x, y: jnp.sum(x) + cut(1e9 * y),
        lambda x, y: y * cut(lax.complex(x, x)).real,
    ],
)
def test_stage_of_one_argument_is_found(f):
    x, y = jnp.linspace(0.1, 1, 7, dtype=jnp.float64), jnp.linspace(0.3, 2, 5, dtype=jnp.float64)
    assert resolution_probe(f, x, y[0]) > 0.5


MASK = ~np.int64(2**29 - 1)


def masked(x):
    bits = lax.bitcast_convert_type(x, jnp.int64)
    return lax.bitcast_convert_type(bits & MASK, x.dtype)


@needs_x64
@pytest.mark.parametrize(
    "cut_off",
    [
        masked,
        lambda x: jnp.round(x * 1e7) / 1e7,
        lambda x: jnp.round(x * 1e3) / 1e3,
        lambda x: (x * 1e7).astype(jnp.int64).astype(x.dtype) / 1e7,
    ],
)
@pytest.mark.parametrize("f", [lambda x: x, jnp.sin, lambda x: jnp.sum(x * x)])
def test_digits_cut_without_a_derivative_are_found(cut_off, f):
    x = jnp.linspace(0.1, 1, 7, dtype=jnp.float64)
    assert resolution_probe(lambda x: f(cut_off(x)), x) > 0.5
    assert resolution_probe(lambda x: f(x) + f(cut_off(x)), x) > 0.3


@needs_x64
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x - jnp.round(x),
        lambda x: x**2,
        jnp.cos,
        lambda x: jnp.exp(20 * x),
        lambda x: jnp.sin(50 * x),
        lambda x: 1 / (x + 0.05),
        lambda x: x**2 + 1e6,
    ],
)
@pytest.mark.parametrize("at", [0.0, 0.3])
def test_smooth_functions_have_all_their_resolution(f, at):
    assert resolution_probe(f, jnp.asarray([at, 0.7], jnp.float64)) < 0.05
    assert resolution_probe(lambda x: (f(x), x), jnp.asarray(at, jnp.float64)) < 0.05


@needs_x64
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_size_of_the_numbers_does_not_matter(size):
    x = size * jnp.linspace(0.1, 1, 7, dtype=jnp.float64)
    assert resolution_probe(lambda x: 1000 * size + 3 * x, x) < 0.05
    assert resolution_probe(lambda x: cut(1000 * size + 3 * x), x) > 0.5
    assert resolution_probe(lambda x: x * jnp.conj(x), lax.complex(x, x)) < 0.05


@needs_x64
def test_zeros_are_moved():
    x = jnp.zeros(3, jnp.float64)
    assert resolution_probe(jnp.sin, x) < 0.05
    assert resolution_probe(lambda x: cut(1 + x), x) > 0.5


@needs_x64
def test_probe_where_the_function_is_not_finite_is_nan():
    assert np.isnan(resolution_probe(lambda x: (x, jnp.log(x)), jnp.asarray([-1.0, 1.0])))


@needs_x64
def test_probe_of_float32_arguments_is_an_error():
    with pytest.raises(ValueError, match="expects floating arguments of float64, got float32"):
        resolution_probe(jnp.sin, jnp.ones(2, jnp.float32))


@needs_x64
def test_probe_of_a_constant_is_an_error():
    with pytest.raises(ValueError, match="an output that depends on the arguments"):
        resolution_probe(lambda x: 0 * x, jnp.ones(2))


@needs_x32
def test_probe_with_x64_off_names_the_switch():
    with pytest.raises(TypeError, match="is float64, but jax_enable_x64 is off"):
        resolution_probe(jnp.sin, jnp.ones(2))
