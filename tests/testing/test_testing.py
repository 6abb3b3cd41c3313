import jax
import jax.numpy as jnp
import pytest

import sciml_lux as lux
from sciml_lux import nn, testing
from tests.conftest import needs_x64


class Widens(lux.Layer):
    """Multiplies by a strongly typed float32 number."""

    def __call__(self, x, ps, st):
        return (x.astype(jnp.float32) * jnp.float32(0.3)).astype(x.dtype), st


class Drifts(lux.Layer):
    def initial_states(self, key, dtype):
        return lux.Record(mean=jnp.zeros((), jnp.float32))

    def __call__(self, x, ps, st):
        return x, lux.Record(mean=jnp.zeros((2,), jnp.float32))


class Returns(lux.Layer):
    def __call__(self, x, ps, st):
        return jnp.zeros(x.shape, jnp.float32), st


X = jax.ShapeDtypeStruct((4, 2), jnp.float32)


def test_dtype_check_passes_a_clean_layer():
    testing.assert_dtype_preserved(nn.Chain(nn.Dense(2, 3, nn.tanh), nn.Dense(3, 1)), X, grads=2)


@needs_x64
def test_dtype_check_finds_a_cast_and_names_layer_dtype_and_line():
    with pytest.raises(AssertionError, match=r"float64 -> float32 .*test_testing.py:\d+") as caught:
        testing.assert_dtype_preserved(Widens(), X, dtypes=("float32", "float64"))
    assert caught.value.__notes__[0] == "`Widens` in float64"


def test_dtype_check_finds_an_output_of_another_dtype():
    with pytest.raises(AssertionError, match="the output is float32, expected float16"):
        testing.assert_dtype_preserved(Returns(), X)


def test_dtype_check_finds_a_state_of_another_shape():
    with pytest.raises((AssertionError, lux.StateStructureError), match="at `mean`"):
        testing.assert_dtype_preserved(Drifts(), X)


@needs_x64
def test_dtype_check_finds_a_gradient_of_another_dtype_and_names_the_leaf():
    rule = jax.custom_vjp(jnp.sin)
    rule.defvjp(
        lambda x: (jnp.sin(x), x),
        lambda x, cotangent: ((cotangent * jnp.cos(x)).astype(jnp.float64),),
    )
    with pytest.raises(
        AssertionError, match=r"a gradient is not like .* at `x`: .*float32.*float64"
    ):
        testing.assert_dtype_preserved(nn.WrappedFunction(rule), X, ("float32",))


@needs_x64
def test_dtype_check_finds_float64_inside_of_narrower_layers():
    detour = nn.WrappedFunction(lambda x: jnp.sin(x.astype(jnp.float64)).astype(x.dtype))
    testing.assert_dtype_preserved(detour, X, ("float64",))
    with pytest.raises(AssertionError, match=r"float64 is computed in float32\n(.|\n)*widening"):
        testing.assert_dtype_preserved(detour, X, ("float32",))


def test_dtype_check_lets_half_precision_sum_in_float32():
    testing.assert_dtype_preserved(nn.LayerNorm((2,)), X, ("float16", "bfloat16"))


def test_dtype_check_takes_complex_inputs_and_python_floats():
    magnitude, z = nn.WrappedFunction(jnp.abs), jax.ShapeDtypeStruct((4, 3), jnp.complex64)
    testing.assert_dtype_preserved(magnitude, z)
    with pytest.raises(ValueError, match="expects float32 or float64 for a complex `x`, got float"):
        testing.assert_dtype_preserved(magnitude, z, ("float16",))
    scaled = nn.WrappedFunction(lambda x: x[0] * x[1])
    testing.assert_dtype_preserved(scaled, (jnp.ones(3, jnp.float32), 2.0))


def test_recompile_is_counted(dtype):
    f = jax.jit(lambda x: 2 * x)
    inputs = [jnp.ones(n, dtype) for n in (2, 3, 4)]
    f(inputs[0])
    with testing.assert_no_recompile():
        f(inputs[0])
    with testing.assert_no_recompile(allowed=1):
        f(inputs[1])
    with (
        pytest.raises(
            AssertionError, match="compiled programs: 1, expected at most 0. Look for a shape"
        ),
        testing.assert_no_recompile(),
    ):
        f(inputs[2])


def test_errors_inside_the_context_come_through(dtype):
    with pytest.raises(KeyError), testing.assert_no_recompile():
        raise KeyError("x")
