import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x64


def operands(dtype=jnp.float32):
    weight, x, bias = (
        np.random.default_rng(i).normal(size=s) for i, s in enumerate([(3, 2), (5, 2), (3,)])
    )
    return tuple(jnp.asarray(a, dtype) for a in (weight, x, bias))


def test_dense_op_equals_numpy(dtype):
    weight, x, bias = operands(dtype)
    want = np.tanh(np.asarray(x) @ np.asarray(weight).T + np.asarray(bias))
    y = ops.fused_dense_bias_activation(ops.tanh, weight, x, bias)
    np.testing.assert_allclose(y, want, rtol=8 * jnp.finfo(dtype).eps, atol=1e-7)


def test_dense_op_without_bias(dtype):
    weight, x, _ = operands(dtype)
    y = ops.fused_dense_bias_activation(ops.identity, weight, x)
    np.testing.assert_allclose(y, np.asarray(x) @ np.asarray(weight).T, rtol=1e-5)


def test_dense_op_precision_can_be_chosen():
    weight, x, bias = operands()
    text = jax.make_jaxpr(
        lambda w, x, b: ops.fused_dense_bias_activation(
            ops.tanh, w, x, b, precision=jax.lax.Precision.DEFAULT
        )
    )(weight, x, bias)
    assert "HIGHEST" not in str(text)


@needs_x64
def test_dense_op_widens_the_narrower_operand_only():
    weight, x, bias = operands(jnp.float64)
    y = ops.fused_dense_bias_activation(ops.identity, weight, x, bias.astype(jnp.float32))
    assert y.dtype == jnp.float64
    want = np.asarray(x) @ np.asarray(weight).T + np.asarray(bias, np.float32)
    np.testing.assert_allclose(y, want, rtol=1e-14)


def test_dense_op_mismatched_shapes_are_an_error():
    weight, x, bias = operands()
    with pytest.raises(ValueError, match=r"`x` \(\.\.\., in_dims\), got \(3, 2\) and \(5, 3\)"):
        ops.fused_dense_bias_activation(ops.tanh, weight, jnp.ones((5, 3), jnp.float32), bias)
    with pytest.raises(ValueError, match=r"expects `bias` of shape \(3,\), got \(2,\)"):
        ops.fused_dense_bias_activation(ops.tanh, weight, x, bias[:2])
