import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.precision import EltypeMismatchError, promote, result_dtype
from tests.conftest import needs_x32

NAMES = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
PAIRS = list(itertools.product(NAMES, NAMES))
MODES = ("strict", "standard")


def struct(name):
    return jax.ShapeDtypeStruct((2,), jnp.dtype(name))


def expected(left, right):
    """The common dtype by NumPy, which has no bfloat16; that one is below all but float16."""
    if {left, right} == {"float16", "bfloat16"}:
        return None
    if "bfloat16" in (left, right):
        return right if left == "bfloat16" else left
    return np.result_type(np.dtype(left), np.dtype(right)).name


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_result_dtype_of_pairs(left, right, mode):
    with jax.enable_x64(True), jax.numpy_dtype_promotion(mode):
        if (name := expected(left, right)) is None:
            with pytest.raises(EltypeMismatchError, match="float16 and bfloat16 do not mix"):
                result_dtype(struct(left), struct(right))
            return
        assert result_dtype(struct(left), struct(right)).name == name


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_result_dtype_is_never_narrower(left, right):
    if expected(left, right) is None:
        return
    with jax.enable_x64(True):
        result = result_dtype(struct(left), struct(right))
    for dtype in map(jnp.dtype, (left, right)):
        assert jnp.finfo(result).nmant >= jnp.finfo(dtype).nmant
        assert jnp.finfo(result).max >= jnp.finfo(dtype).max
        assert jnp.issubdtype(result, np.complexfloating) or not jnp.issubdtype(
            dtype, np.complexfloating
        )


def test_float16_and_bfloat16_raise_with_a_remedy():
    text = (
        "float16 and bfloat16 do not mix: their common dtype would be float32, which neither side "
        "asked for. Convert one of them, for example with precision.bf16."
    )
    with pytest.raises(EltypeMismatchError, match=text):
        promote(jnp.ones(2, jnp.float16), jnp.ones(2, jnp.bfloat16))
    assert issubclass(EltypeMismatchError, TypeError)


def test_result_dtype_does_not_depend_on_the_order():
    def outcome(names):
        try:
            return result_dtype(*map(struct, names)).name
        except EltypeMismatchError:
            return "error"

    orders = itertools.permutations(("float16", "bfloat16", "float32"))
    assert len({outcome(order) for order in orders}) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "complex64"])
def test_integers_take_the_floating_dtype(name, mode):
    with jax.numpy_dtype_promotion(mode):
        assert result_dtype(struct("int32"), struct(name)).name == name
        assert result_dtype(struct(name), struct("bool")).name == name


def test_one_array_keeps_its_dtype():
    assert result_dtype(struct("bfloat16")).name == "bfloat16"


@pytest.mark.parametrize("mode", MODES)
def test_promote_widens_without_loss(mode):
    narrow, wide = jnp.asarray([1.5, -2.0], jnp.bfloat16), jnp.asarray([0.1, 3.0], jnp.float32)
    with jax.numpy_dtype_promotion(mode):
        left, right = promote(narrow, wide)
    assert left.dtype == right.dtype == jnp.float32
    np.testing.assert_array_equal(left, [1.5, -2.0])
    assert right is wide


def test_promote_of_real_and_complex():
    real, complex_ = promote(jnp.ones(2, jnp.float32), jnp.full(2, 2j, jnp.complex64))
    assert real.dtype == complex_.dtype == jnp.complex64
    np.testing.assert_array_equal(real, [1 + 0j, 1 + 0j])


def test_promote_of_equal_dtypes_leaves_no_trace_in_the_program():
    program = jax.make_jaxpr(promote)(jnp.ones(2, jnp.float32), jnp.ones(2, jnp.float32))
    assert not program.eqns


def test_promote_of_three_arrays():
    arrays = promote(*(jnp.ones(1, d) for d in (jnp.bfloat16, jnp.float32, jnp.complex64)))
    assert {array.dtype.name for array in arrays} == {"complex64"} and len(arrays) == 3


def test_promote_of_numpy_and_jax_arrays():
    left, right = promote(np.ones(2, np.float16), jnp.ones(2, jnp.float32))
    assert isinstance(left, jax.Array) and left.dtype == right.dtype == jnp.float32


@needs_x32
def test_promote_of_numpy_float64_with_x64_off_raises():
    with pytest.raises(TypeError, match="float64, but jax_enable_x64 is off"):
        promote(np.ones(2), jnp.ones(2, jnp.float32))
