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
            AssertionError, match="1 programs were compiled, expected at most 0. A shape"
        ),
        testing.assert_no_recompile(),
    ):
        f(inputs[2])


def test_errors_inside_the_context_come_through(dtype):
    with pytest.raises(KeyError), testing.assert_no_recompile():
        raise KeyError("x")
