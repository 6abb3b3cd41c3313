import jax
import jax.numpy as jnp
import numpy as np
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


def smooth(x, ps, n):
    return jnp.sum(jnp.sin(x) * ps["w"]) * n


def test_gradients_pass_a_right_function(dtype):
    args = jnp.asarray([0.1, 0.5], dtype), {"w": jnp.asarray([1.0, -2.0], dtype)}, 3
    testing.test_gradients(smooth, *args)


@jax.custom_jvp
def wrong(x):
    return x**3


wrong.defjvp(lambda primals, tangents: (wrong(*primals), 3.1 * primals[0] ** 2 * tangents[0]))


@jax.custom_jvp
def wrong_twice(x):
    return jnp.sin(x)


@jax.custom_jvp
def _cosine(x):
    return jnp.cos(x)


_cosine.defjvp(lambda primals, tangents: (_cosine(*primals), 2 * tangents[0]))
wrong_twice.defjvp(lambda p, t: (wrong_twice(*p), _cosine(p[0]) * t[0]))


@pytest.mark.parametrize(
    ("f", "modes", "named"),
    [
        (wrong, ("reverse",), "reverse"),
        (wrong, ("forward",), "forward"),
        (wrong_twice, ("reverse", "forward", "nested"), "nested"),
    ],
)
def test_gradients_find_a_wrong_rule_and_name_the_mode(f, modes, named, dtype):
    with pytest.raises(AssertionError, match=f"the {named} derivative is .*central differences"):
        testing.test_gradients(lambda x: jnp.sum(f(x)), jnp.asarray([0.4, 1.2], dtype), modes=modes)


@needs_x64
def test_gradients_against_a_reference_of_more_digits():
    x = jnp.asarray([0.1, 0.7])
    good = np.cos(np.asarray(x))
    testing.test_gradients(lambda x: jnp.sum(jnp.sin(x)), x, reference=(good,))

    def cut(x):
        return jnp.sum(jnp.sin(x.astype(jnp.float32)).astype(jnp.float64))

    with pytest.raises(AssertionError, match="the gradient differs from the reference at `0` by"):
        testing.test_gradients(cut, x, modes=(), reference=(good,))


def test_gradients_of_an_unknown_mode_list_the_known(dtype):
    with pytest.raises(ValueError, match='knows the modes "reverse", "forward", "nested", got'):
        testing.test_gradients(jnp.sum, jnp.ones(2, dtype), modes=("backward",))


@jax.custom_jvp
def small(x):
    return 1e-4 * jnp.sum(x * x)


small.defjvp(lambda x, t: (small(*x), 3e-4 * jnp.sum(x[0] * t[0])))  # It should be 2e-4.


def test_wrong_gradient_of_a_small_function_is_found(dtype):
    with pytest.raises(AssertionError, match="the reverse derivative is"):
        testing.test_gradients(small, jnp.ones(3, dtype))


def test_arguments_and_references_that_do_not_fit_are_named(dtype):
    with pytest.raises(ValueError, match="expects arguments with a floating leaf, got none"):
        testing.test_gradients(lambda x: x, jnp.ones(3, jnp.int32))
    square = lambda x, y: jnp.sum(x * y)
    with pytest.raises(
        ValueError, match="`reference` to be a tuple like the arguments, got none a"
    ):
        x = jnp.ones(2, dtype)
        testing.test_gradients(square, x, x, reference=(x,))
