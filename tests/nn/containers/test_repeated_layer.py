import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, precision
from tests.conftest import needs_x64

X = np.asarray([[1.0, -2.0], [0.5, 3.0]], np.float32)


class Counter(lux.Layer):
    """x + count, counting its calls."""

    def initial_states(self, key, dtype):
        return lux.Record(count=jnp.zeros((), dtype))

    def __call__(self, x, ps, st):
        return x + st.count, st | {"count": st.count + 1}


class Returns(lux.Layer):
    function: Any

    def initial_states(self, key, dtype):
        return lux.Record(mean=jnp.zeros(2, dtype))

    def __call__(self, x, ps, st):
        return self.function(x, st)


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def test_repeated_layer_feeds_the_output_back(dtype):
    layer = nn.Dense(2, 2, nn.tanh)
    model = nn.RepeatedLayer(layer, 4)
    ps, st = made(model, dtype)
    y = jnp.asarray(X, dtype)
    for _ in range(4):
        y, _ = layer(y, ps, st)
    got, _ = model(jnp.asarray(X, dtype), ps, st)
    # A step rounds sums of terms of order one, however small the sum.
    np.testing.assert_allclose(got, y, rtol=0, atol=4 * jnp.finfo(dtype).eps)


def test_repeated_layer_injects_the_input_each_time():
    model = nn.RepeatedLayer(lambda pair: 2 * pair[0] + pair[1], 3, input_injection=True)
    # From y = x: 3x, 7x, 15x.
    np.testing.assert_array_equal(model(X, *made(model))[0], 15 * X)


def test_repeated_layer_repeats_ten_times_by_default():
    model = nn.RepeatedLayer(lambda x: x + 1)
    np.testing.assert_array_equal(model(np.zeros(2, np.float32), *made(model))[0], [10.0, 10.0])


def test_repeated_layer_has_the_parameters_of_its_layer():
    layer = nn.Chain(nn.Dense(2, 3), nn.Dense(3, 2))
    assert lux.parameter_length(nn.RepeatedLayer(layer, 50)) == lux.parameter_length(layer)
    np.testing.assert_array_equal(
        made(nn.RepeatedLayer(layer))[0].layer_1.weight, made(layer)[0].layer_1.weight
    )


def test_repeated_layer_threads_the_state():
    model = nn.RepeatedLayer(Counter(), 4)
    y, st = model(np.zeros(2, np.float32), *made(model))
    np.testing.assert_array_equal(y, [6.0, 6.0])
    assert st.count == 4


def test_repeated_layer_takes_a_tree():
    model = nn.RepeatedLayer(lambda pair: (pair[1], pair[0]), 3)
    first, second = model((X, 2 * X), *made(model))[0]
    np.testing.assert_array_equal((first, second), (2 * X, X))


@pytest.mark.parametrize("checkpoint", [False, True])
def test_repeated_layer_is_one_program_however_often(checkpoint):
    def size(repeats):
        model = nn.RepeatedLayer(nn.Dense(2, 2, nn.tanh), repeats, checkpoint=checkpoint)
        ps, st = made(model)
        loss = lambda ps: jnp.sum(model(X, ps, st)[0])
        return len(str(jax.make_jaxpr(jax.grad(loss))(ps)).replace(f"{repeats}", "n"))

    # The number itself is written in the program.
    assert abs(size(222) - size(333)) < 5 and size(222) < 1.05 * size(5)


def test_repeated_layer_with_checkpoint_has_the_same_gradient(dtype):
    layer = nn.Dense(2, 2, nn.tanh)
    ps, st = made(layer, dtype)
    x = jnp.asarray(X, dtype)

    def gradient(checkpoint):
        model = nn.RepeatedLayer(layer, 5, checkpoint=checkpoint)
        return jax.tree.leaves(jax.grad(lambda ps: jnp.sum(model(x, ps, st)[0]))(ps))

    eps = float(jnp.finfo(dtype).eps)
    for plain, saved in zip(gradient(False), gradient(True), strict=True):
        np.testing.assert_allclose(plain, saved, rtol=64 * eps, atol=eps)


def test_repeated_layer_with_checkpoint_keeps_less_for_the_gradient():
    def kept(repeats, checkpoint):
        layer = nn.Chain(nn.Dense(2, 64, nn.tanh), nn.Dense(64, 2))
        model = nn.RepeatedLayer(layer, repeats, checkpoint=checkpoint)
        ps, st = made(model)
        program = jax.make_jaxpr(lambda x: jax.vjp(lambda x: model(x, ps, st)[0], x)[1])(X)
        return sum(v.aval.size for v in program.jaxpr.outvars)

    def kept_per_repeat(checkpoint):
        # The weights are kept once, which some versions of JAX count and others do not.
        return (kept(14, checkpoint) - kept(7, checkpoint)) / 7

    assert kept_per_repeat(True) <= X.size
    assert kept_per_repeat(False) >= X.shape[0] * 64


@needs_x64
def test_repeated_layer_widens_the_input_first():
    layer = nn.Dense(2, 2, nn.tanh)
    model = nn.RepeatedLayer(layer, 3)
    ps, st = made(model, jnp.float64)
    y, _ = model(X, ps, st)
    assert y.dtype == jnp.float64
    np.testing.assert_array_equal(y, model(X.astype(np.float64), ps, st)[0])


def test_repeated_layer_injects_the_widened_input():
    layer = nn.compact(lambda m, pair: m.dense(pair[0] + pair[1]), dense=nn.Dense(2, 2))
    model = nn.RepeatedLayer(layer, 3, input_injection=True)
    trees = made(model)
    half = X.astype(np.float16)
    y, _ = model(half, *trees)
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(y, model(half.astype(np.float32), *trees)[0])


@pytest.mark.parametrize("inject", [False, True])
def test_repeated_layer_takes_integers_in_the_parameters_dtype(inject):
    layer = nn.Parallel(operator.add, nn.Dense(2, 2), nn.Dense(2, 2)) if inject else nn.Dense(2, 2)
    model = nn.RepeatedLayer(layer, 3, input_injection=inject)
    y, _ = model(jnp.ones((1, 2), jnp.int32), *made(model))
    assert y.dtype == jnp.float32


def test_repeated_layer_keeps_the_policy_for_dtypes():
    model = nn.RepeatedLayer(nn.Chain(nn.Dense(2, 2)), 3)
    ps, st = made(model, jnp.float16)
    with precision.match_eltype("error"), pytest.raises(precision.EltypeMismatchError):
        model(X, ps, st)


def test_repeated_layer_of_another_shape_is_an_error():
    model = nn.Chain(nn.RepeatedLayer(nn.Dense(2, 3)))
    text = (
        r"`RepeatedLayer` \(at `layer_1`\) expects a layer whose output has the shape of its input,"
        r" expected shape \(2, 2\), got shape \(2, 3\)"
    )
    with pytest.raises(ValueError, match=text):
        model(X, *made(model))


def test_repeated_layer_that_narrows_is_an_error():
    model = nn.RepeatedLayer(lambda x: x.astype(jnp.float16), 3)
    text = (
        "`RepeatedLayer` expects a layer whose output has the dtype of its input or a wider one, "
        r"expected float32\[2,2\], got float16\[2,2\]"
    )
    with pytest.raises(TypeError, match=text):
        model(X, *made(model))


def test_repeated_layer_that_changes_its_state_structure_is_an_error():
    model = nn.RepeatedLayer(Returns(lambda x, st: (x, lux.Record())), 3)
    text = (
        "`RepeatedLayer` expects a layer that keeps the structure of its state, at `mean`: "
        r"expected float32\[2\], got nothing"
    )
    with pytest.raises(lux.StateStructureError, match=text):
        model(X, *made(model))


@pytest.mark.parametrize("repeats", [0, -1, 2.0, True])
def test_repeated_layer_needs_at_least_one_repeat(repeats):
    text = f"`RepeatedLayer` expects `repeats` to be an integer of at least 1, got {repeats}"
    with pytest.raises((TypeError, ValueError), match=text):
        nn.RepeatedLayer(nn.NoOpLayer(), repeats)
