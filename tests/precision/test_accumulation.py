import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import precision
from tests.half_sums import HALF

pytestmark = pytest.mark.any_precision
halves = pytest.mark.parametrize("dtype", HALF)
OPERATIONS = [operator.add, operator.sub, operator.mul, operator.truediv]


def any_bits(dtype, seed, size=4096):
    """Numbers of every size, for each pattern of bits is as likely as another."""
    bits = np.random.default_rng(seed).integers(0, 2**16, size).astype(np.uint16)
    return bits.view(jnp.dtype(dtype))


@halves
@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_operation_in_float32_rounds_as_one_in_half_precision(operation, dtype):
    x, y = any_bits(dtype, 1), any_bits(dtype, 2)
    found = precision.accumulating(operation, jnp.asarray(x), jnp.asarray(y))
    with np.errstate(all="ignore"):
        found, x, y = (np.asarray(a).astype(np.float64) for a in (found, x, y))
        want = operation(x, y).astype(jnp.dtype(dtype)).astype(np.float64)
    # Below the normal numbers XLA may flush to zero, in half precision as in float32.
    normal = ~(np.abs([x, y, want]) < float(jnp.finfo(dtype).tiny)).any(0)
    np.testing.assert_array_equal(found[normal], want[normal])
    assert normal.sum() > 1000


def test_other_dtypes_are_left_alone(dtype):
    x, b, n = jnp.ones((4, 2), dtype), jnp.ones(2, dtype), jnp.arange(3)
    assert precision.accumulated(x) is x and precision.accumulated(n) is n
    program = jax.make_jaxpr(lambda x, b: precision.broadcasting(jax.lax.add, x, b))(x, b)
    assert [e.primitive.name for e in program.eqns] == ["broadcast_in_dim", "add"]
    program = jax.make_jaxpr(lambda n: precision.accumulating(lambda n: n[::-1], n))(n)
    assert [e.primitive.name for e in program.eqns] == ["rev"]
    tree = {"x": x, "n": n, "number": 1.0}
    wide, narrowed = precision.shared(tree)
    assert wide is tree and narrowed(tree) is tree


@halves
def test_shared_trees_come_back_as_they_were(dtype):
    tree = {"x": jnp.ones(2, dtype), "n": jnp.arange(3), "y": jnp.ones((), jnp.float32), "a": 1.0}
    wide, narrowed = precision.shared(tree)
    assert wide["x"].dtype == wide["y"].dtype == jnp.float32
    assert wide["n"] is tree["n"] and wide["a"] == 1.0
    back = narrowed(wide)
    assert {name: getattr(leaf, "dtype", None) for name, leaf in back.items()} == {
        name: getattr(leaf, "dtype", None) for name, leaf in tree.items()
    }


@halves
def test_broadcasting_promotes_and_refuses_the_other_half(dtype):
    x = jnp.ones((3, 2), jnp.float32)
    assert precision.broadcasting(jnp.multiply, x, jnp.ones(2, dtype)).dtype == jnp.float32
    other = {"float16": jnp.bfloat16, "bfloat16": jnp.float16}[dtype]
    with pytest.raises(precision.EltypeMismatchError, match="float16 and bfloat16 do not mix"):
        precision.broadcasting(jnp.multiply, jnp.ones((3, 2), dtype), jnp.ones(2, other))


@halves
def test_every_derivative_of_what_is_broadcast_adds_in_float32(dtype):
    x = jnp.ones((50, 60, 2), dtype)
    loss = lambda b: jnp.sum(precision.broadcasting(jnp.multiply, x, b * b * b))
    b = jnp.ones(2, dtype)
    want = np.asarray([3000.0, 3000.0]).astype(dtype)
    first = jax.grad(loss)
    np.testing.assert_array_equal(first(b), (3 * want).astype(dtype))
    np.testing.assert_array_equal(jax.jvp(loss, (b,), (b,))[1], np.asarray(18000.0, dtype))
    np.testing.assert_array_equal(jax.hessian(loss)(b), (6 * np.diag(want)).astype(dtype))
    np.testing.assert_array_equal(jax.jacfwd(first)(b), jax.jacrev(first)(b))
