"""Functions that order numbers refuse complex ones; Python numbers are taken as arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import losses, ops

MAPS = [
    *("celu", "elu", "gelu", "gelu_erf", "gelu_sigmoid", "gelu_tanh", "hardsigmoid", "hardswish"),
    *("hardtanh", "leakyrelu", "lisht", "logcosh", "logsigmoid", "mish", "relu", "relu6", "rrelu"),
    *("selu", "softplus", "softshrink", "softsign", "swish", "thresholdrelu", "trelu", "xlogx"),
]
ORDERED = [*MAPS, "softmax", "logsoftmax", "logsumexp"]


@pytest.mark.parametrize("name", ORDERED)
def test_complex_numbers_are_refused_by_name(name):
    function = getattr(ops, name)
    for x in (jnp.ones(2, jnp.complex64), np.ones(2, np.complex64), 1j):
        with pytest.raises(TypeError, match=f"^`{name}` expects `x` to be real, got complex.*no o"):
            function(x)
    with pytest.raises(TypeError, match=f"^`{name}` expects `x` to be real"):
        jax.jit(function)(jnp.ones(2, jnp.complex64))


@pytest.mark.parametrize("name", ORDERED)
def test_what_is_not_an_array_is_refused_by_name(name):
    for x, kind in (([1.0], "list"), (None, "NoneType"), ("a", "str")):
        with pytest.raises(TypeError, match=f"^`{name}` expects `x` to be an array or.*got {kind}"):
            getattr(ops, name)(x)


REAL_ONLY = [
    losses.BinaryCrossEntropyLoss,
    losses.BinaryFocalLoss,
    losses.CrossEntropyLoss,
    losses.DiceCoeffLoss,
    losses.FocalLoss,
    losses.HingeLoss,
    losses.KLDivergenceLoss,
    losses.MSLELoss,
    losses.PoissonLoss,
    losses.SiameseContrastiveLoss,
    losses.SquaredHingeLoss,
]


@pytest.mark.parametrize("loss", REAL_ONLY)
def test_losses_that_order_refuse_complex_numbers_by_name(loss):
    real, other = jnp.ones((2, 2), jnp.float32), jnp.ones((2, 2), jnp.complex64)
    for y_pred, y in ((other, other), (real, other), (other, real)):
        with pytest.raises(
            TypeError, match=f"^`{loss.__name__}` expects real numbers, got complex"
        ):
            loss()(y_pred, y)


@pytest.mark.parametrize("name", MAPS)
def test_python_numbers_are_taken_and_take_the_dtype_of_others(name):
    function = getattr(ops, name)
    found = function(2.0)
    np.testing.assert_allclose(found, function(jnp.asarray(2.0, jnp.float32)), rtol=1e-6)
    assert (found * jnp.ones(2, jnp.float16)).dtype == jnp.float16
    assert function(2) == found


@pytest.mark.parametrize("name", ["sigmoid", "sigmoid_fast", "tanh", "tanh_fast"])
def test_a_python_integer_is_a_float_to_the_others_too(name):
    function = getattr(ops, name)
    assert function(1) == function(1.0) and function(1).weak_type
    assert function(1j).dtype.kind == "c"


def test_numbers_of_numpy_keep_their_dtype():
    assert ops.gelu(np.float32(2.0)).dtype == ops.softmax(np.float32(2.0)).dtype == jnp.float32


def test_xlogy_takes_a_number_in_the_dtype_of_the_other():
    x = jnp.asarray([0.0, 2.0], jnp.float16)
    for found, want in (
        (ops.xlogy(x, 3.0), [0.0, 2 * np.log(3)]),
        (ops.xlogy(3.0, x + 1), [0.0, 3 * np.log(3)]),
    ):
        assert found.dtype == jnp.float16
        np.testing.assert_allclose(np.asarray(found, np.float64), want, rtol=1e-3)
    np.testing.assert_allclose(ops.xlogy(2, 3.0), 2 * np.log(3), rtol=1e-6)


def test_softmax_of_one_number():
    values = ops.softmax(2.0), ops.logsoftmax(2.0), ops.logsumexp(2.0)
    assert [float(v) for v in values] == [1.0, 0.0, 2.0]


@pytest.mark.parametrize(
    "name",
    ["sigmoid", "swish", "mish", "lisht", "gelu", "gelu_erf", "gelu_tanh", "gelu_sigmoid"],
)
def test_integers_are_refused_where_the_float_dtype_counts(name):
    for x in (jnp.arange(2, dtype=jnp.int32), np.arange(2, dtype=np.int32)):
        with pytest.raises(TypeError, match=r"expects `x` to be floating, got int32. Convert it"):
            getattr(ops, name)(x)
    assert getattr(ops, name)(2).dtype == jnp.result_type(float)
