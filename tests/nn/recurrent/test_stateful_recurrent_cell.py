import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import initializers, nn
from tests.conftest import needs_x64

from .cells import Sum

any_precision = pytest.mark.any_precision


def made(layer, dtype=jnp.float32):
    return lux.setup(jax.random.key(0), layer, dtype=dtype)


def sequence(shape, dtype=jnp.float32):
    return jax.random.normal(jax.random.key(1), shape, dtype)


@any_precision
@pytest.mark.parametrize(
    "cell",
    [
        nn.LSTMCell(2, 3, train_memory=True, init_memory=initializers.ones),
        nn.StackedRNNCell(nn.GRUCell(2, 3), nn.RNNCell(3, 2)),
        Sum(),
    ],
    ids=repr,
)
def test_calls_one_after_another_equal_a_recurrence(cell, dtype):
    model = nn.StatefulRecurrentCell(cell, batch_shape=(4,), in_dims=2)
    ps, start = made(model, dtype)
    x = sequence((4, 3, 2), dtype)
    want, _ = nn.Recurrence(cell, return_sequence=True)(x, ps, start.cell)
    st = start
    for t in range(3):
        y, st = model(x[:, t], ps, st)
        np.testing.assert_allclose(y, want[:, t], rtol=1e-5, atol=1e-6)
    last, scanned = jax.lax.scan(lambda st, x: model(x, ps, st)[::-1], start, jnp.moveaxis(x, 1, 0))
    np.testing.assert_allclose(jnp.moveaxis(scanned, 0, 1), want, rtol=1e-5, atol=1e-6)
    assert lux.core.internal.first_difference(st, last) is None


@any_precision
def test_reset_carry_starts_anew_and_knows_where():
    model = nn.Chain(nn.StatefulRecurrentCell(nn.GRUCell(2, 3, init_state=initializers.ones)))
    ps, st = made(model)
    x = sequence((2,))
    first, st = model(x, ps, st)
    second, st = model(x, ps, st)
    assert (first != second).all()
    np.testing.assert_array_equal(model(x, ps, nn.reset_carry(st))[0], first)
    f = lux.StatefulLuxLayer(model, ps, st)
    np.testing.assert_array_equal(nn.reset_carry(f).call(x)[0], first)
    with pytest.raises(KeyError, match="`update_state` found no entry `has_carry`"):
        nn.reset_carry(lux.Record())


def test_state_says_whether_there_is_a_carry():
    model = nn.StatefulRecurrentCell(nn.LSTMCell(2, 3))
    ps, st = made(model)
    assert list(st) == ["cell", "carry", "has_carry"]
    assert not st.has_carry and model(sequence((2,)), ps, st)[1].has_carry
    assert list(ps) == list(made(model.cell)[0])


@any_precision
def test_gradient_flows_through_the_carry(dtype):
    model = nn.StatefulRecurrentCell(nn.GRUCell(2, 3))
    ps, st = made(model, dtype)
    x = sequence((2, 2), dtype)

    def loss(x):
        _, later = model(x[0], ps, st)
        return jnp.sum(model(x[1], ps, later)[0])

    want = jax.grad(lambda x: jnp.sum(nn.Recurrence(model.cell)(x, ps, st.cell)[0]))(x)
    eps = 16 * float(jnp.finfo(dtype).eps)
    np.testing.assert_allclose(jax.grad(loss)(x), want, rtol=eps, atol=eps)
    assert (want[0] != 0).all()


@needs_x64
@pytest.mark.parametrize(("of_x", "of_st"), [("float64", "float32"), ("float32", "float64")])
def test_carry_keeps_its_dtype_and_the_output_is_the_widest(of_x, of_st):
    model = nn.StatefulRecurrentCell(nn.GRUCell(2, 3))
    ps = made(model)[0]
    st = made(model, of_st)[1]
    y, new = model(sequence((2,), of_x), ps, st)
    assert y.dtype == jnp.float64 and new.carry[0].dtype == of_st


def test_integer_input_is_promoted():
    model = nn.StatefulRecurrentCell(nn.RNNCell(2, 3))
    assert model(jnp.ones(2, jnp.int32), *made(model))[0].dtype == jnp.float32


@pytest.mark.parametrize("shape", [(2,), (5, 2), (4, 3)])
def test_input_of_another_shape_is_an_error(shape):
    model = nn.StatefulRecurrentCell(nn.RNNCell(2, 3), batch_shape=(4,))
    text = r"`StatefulRecurrentCell` expects `x` to be of shape \(4, 2\) \(`batch_shape` and .*got"
    with pytest.raises(ValueError, match=text):
        model(jnp.ones(shape, jnp.float32), *made(model))


def test_something_else_than_a_cell_is_an_error():
    with pytest.raises(TypeError, match="`StatefulRecurrentCell` expects `cell` to be a layer"):
        nn.StatefulRecurrentCell(nn.tanh)
    with pytest.raises(TypeError, match="`in_dims` to be an integer, because `Sum` has none"):
        nn.StatefulRecurrentCell(Sum())
    with pytest.raises(TypeError, match="`Dense` is used as a cell"):
        made(nn.StatefulRecurrentCell(nn.Dense(2, 2)))
