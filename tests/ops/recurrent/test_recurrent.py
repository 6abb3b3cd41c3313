import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64


def normal(seed, shape, dtype):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_lstm_gates_are_input_forget_cell_output(dtype):
    gates, memory = normal(0, (2, 12), dtype), normal(1, (2, 3), dtype)
    i, f, g, o = (np.asarray(gates)[:, 3 * k : 3 * k + 3] for k in range(4))
    want = sigmoid(f) * np.asarray(memory) + sigmoid(i) * np.tanh(g)
    found = ops.lstm_gates(gates, memory)
    eps = 16 * jnp.finfo(dtype).eps
    np.testing.assert_allclose(found[1], want, rtol=eps, atol=eps)
    np.testing.assert_allclose(found[0], sigmoid(o) * np.tanh(want), rtol=eps, atol=eps)


def test_gru_gates_are_reset_update_new(dtype):
    x, u, h = (normal(s, (2, n), dtype) for s, n in ((0, 9), (1, 9), (2, 3)))
    (r, z, n), (r2, z2, n2) = (
        [np.asarray(a)[:, 3 * k : 3 * k + 3] for k in range(3)] for a in (x, u)
    )
    new = np.tanh(n + sigmoid(r + r2) * n2)
    update = sigmoid(z + z2)
    eps = 16 * jnp.finfo(dtype).eps
    want = (1 - update) * new + update * np.asarray(h)
    np.testing.assert_allclose(ops.gru_gates(x, u, h), want, rtol=eps, atol=eps)


def test_gru_gates_pass_on_what_an_update_gate_of_almost_one_leaves(dtype):
    x, zeros = jnp.asarray([0.0, 40.0, 0.5], dtype), jnp.zeros(3, dtype)
    slope = jax.grad(lambda x: ops.gru_gates(x, zeros, jnp.zeros(1, dtype))[0])(x)[2]
    # 1 - σ(40) is 0 if subtracted.
    want = np.exp(-40.0) / (1 + np.exp(-40.0)) / np.cosh(0.5) ** 2
    np.testing.assert_allclose(slope, want, rtol=4 * float(jnp.finfo(dtype).eps))


@needs_x64
def test_gates_widen_to_the_widest():
    wide, narrow = normal(0, (2, 12), jnp.float64), normal(1, (2, 3), jnp.float32)
    assert {a.dtype for a in ops.lstm_gates(wide, narrow)} == {jnp.dtype("float64")}
    narrow = normal(1, (2, 9), jnp.float32)
    assert ops.gru_gates(narrow, narrow, normal(0, (2, 3), jnp.float64)).dtype == jnp.float64


@pytest.mark.parametrize("shapes", [((2, 9), (2, 3)), ((12,), (2, 3)), ((), ())])
def test_lstm_gates_of_other_shapes_are_an_error(shapes):
    with pytest.raises(ValueError, match=r"`lstm_gates` expects `gates` \(\.\.\., 4 out_dims\)"):
        ops.lstm_gates(*(jnp.ones(shape, jnp.float32) for shape in shapes))


@pytest.mark.parametrize("shapes", [((2, 9), (2, 12), (2, 3)), ((9,), (9,), (2, 3)), ((), (), ())])
def test_gru_gates_of_other_shapes_are_an_error(shapes):
    with pytest.raises(ValueError, match=r"`gru_gates` expects .*and `hidden` \(\.\.\., out_dims"):
        ops.gru_gates(*(jnp.ones(shape, jnp.float32) for shape in shapes))
