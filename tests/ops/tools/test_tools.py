import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import ops
from tests.conftest import needs_x64


@pytest.mark.parametrize("x", [lux.Record(weight=3, bias=None), {"weight": 3}])
def test_getproperty_finds_an_entry_or_gives_none(x):
    assert ops.getproperty(x, "weight") == 3
    assert ops.getproperty(x, "scale") is None
    assert ops.getproperty((), "weight") is None


def test_istraining_reads_flags_and_states():
    on = lux.Record(training=lux.Static(True), running_mean=jnp.zeros(2, jnp.float32))
    assert ops.istraining(on) and not ops.istraining(lux.testmode(on))
    assert ops.istraining(True) and ops.istraining(lux.Static(True))
    assert not ops.istraining(False) and not ops.istraining(lux.Static(False))
    assert not ops.istraining(lux.Record()) and not ops.istraining({}) and not ops.istraining(())
    assert ops.istraining({"training": True})


def test_istraining_refuses_a_flag_that_is_computed():
    flag = jnp.asarray(True)
    with pytest.raises(TypeError, match="`istraining` expects the flag to be True or False, got"):
        ops.istraining({"training": flag})
    with pytest.raises(TypeError, match="trainmode"):
        jax.jit(ops.istraining)(flag)


def test_foldl_init_starts_from_init_or_from_the_first_entry():
    op = lambda folded, x: f"({folded}{x})"
    assert ops.foldl_init(op, "abc", "-") == "(((-a)b)c)"
    assert ops.foldl_init(op, "abc") == "((ab)c)"
    assert ops.foldl_init(op, [], "-") == "-"
    assert ops.foldl_init(op, "a", None) == "(Nonea)"


def test_foldl_init_has_a_derivative_by_init(dtype):
    xs = jnp.asarray([2.0, 3.0], dtype)
    folded = lambda init: ops.foldl_init(lambda folded, x: x * folded + x, xs, init)
    assert jax.grad(folded)(jnp.ones((), dtype)) == 6


@pytest.mark.parametrize("arguments", [([],), ([1], 2, 3)])
def test_foldl_init_needs_a_start(arguments):
    with pytest.raises(TypeError, match="`foldl_init` expects entries or one `init` to start from"):
        ops.foldl_init(max, *arguments)


def test_eachslice_goes_along_an_axis():
    x = jnp.arange(6, dtype=jnp.int32).reshape(2, 3)
    np.testing.assert_array_equal(ops.eachslice(x, 1), [[0, 3], [1, 4], [2, 5]])
    np.testing.assert_array_equal(ops.eachslice(x, -2), x)
    assert ops.eachslice(x[:0], 0) == []
    with pytest.raises(ValueError, match=r"`axis` to be one of `x`, got 2 and \(2, 3\)"):
        ops.eachslice(x, 2)


@needs_x64
def test_rsqrt_has_its_digits():
    x = np.random.default_rng(0).uniform(1e-3, 1e3, 50)
    np.testing.assert_allclose(ops.rsqrt(jnp.asarray(x)), x**-0.5, rtol=1e-15)


def test_rsqrt_of_integers_is_an_error():
    with pytest.raises(TypeError, match="`rsqrt` expects `x` to be floating or complex, got int32"):
        ops.rsqrt(jnp.ones(2, jnp.int32))


def test_operations_without_kernels_are_plain_jax():
    # What `operation_mode` says of them is true as long as no program holds one of these.
    def f(weight, x, bias):
        y = ops.fused_dense_bias_activation(ops.gelu, weight, x, bias)
        return ops.softmax(ops.batched_matmul(ops.pad_zeros(y, 1), weight))

    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((3, 3), (2, 4, 3), (3,))]
    program = str(jax.make_jaxpr(f)(*shapes))
    assert "dot_general" in program
    assert not any(name in program for name in ("pallas_call", "ffi_call", "pure_callback"))
