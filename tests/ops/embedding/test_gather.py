import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from tests.conftest import needs_x32, needs_x64

any_precision = pytest.mark.any_precision

TABLE = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


@any_precision
def test_gather_reads_rows_at_indices_of_any_shape(dtype):
    table = jnp.asarray(TABLE, dtype)
    assert ops.gather(table, jnp.asarray(2)).tolist() == [4.0, 5.0]
    rows = ops.gather(table, jnp.asarray([[0, 2, 2], [1, 0, 0]]))
    np.testing.assert_array_equal(rows, np.asarray(TABLE)[[[0, 2, 2], [1, 0, 0]]])


def test_gather_by_several_indices_reads_several_axes(dtype):
    table = jnp.arange(12, dtype=dtype).reshape(3, 2, 2)
    rows = ops.gather(table, jnp.asarray([2, 0]), jnp.asarray([1, 0]))
    assert rows.tolist() == [[10.0, 11.0], [0.0, 1.0]]


@pytest.mark.parametrize("kind", [jnp.int8, jnp.int16, jnp.int32, jnp.uint8, jnp.uint32])
def test_gather_takes_any_integers(kind):
    table = jnp.arange(300, dtype=jnp.float32).reshape(300, 1)
    assert ops.gather(table, jnp.asarray([0, 127], kind)).tolist() == [[0.0], [127.0]]


@any_precision
@pytest.mark.parametrize("module", [jnp, np])
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_gather_outside_the_table_is_nan_and_pollutes_no_gradient(module, transform, dtype):
    table, indices = jnp.asarray(TABLE, dtype), module.asarray([-1, 1, 3, 1, -3], module.int32)
    rows = transform(ops.gather)(table, indices)
    np.testing.assert_array_equal(np.isnan(rows[:, 0]), [True, False, True, False, True])
    np.testing.assert_array_equal(rows[1], TABLE[1])
    loss = transform(lambda table: jnp.sum(3 * ops.gather(table, indices)))
    np.testing.assert_array_equal(jax.grad(loss)(table), [[0, 0], [6, 6], [0, 0]])


def test_gather_with_one_of_two_indices_outside_is_nan(dtype):
    table = jnp.ones((3, 2, 2), dtype)
    rows = ops.gather(table, jnp.asarray([0, 0, -1]), jnp.asarray([1, 2, 0]))
    np.testing.assert_array_equal(np.isnan(rows[:, 0]), [False, True, True])


@needs_x32
def test_gather_of_numpy_indices_too_long_for_int32_is_outside():
    rows = ops.gather(jnp.asarray(TABLE, jnp.float32), np.asarray([2**32, 1], np.int64))
    assert np.isnan(rows[0]).all() and rows[1].tolist() == [2.0, 3.0]


@needs_x64
@pytest.mark.parametrize("module", [jnp, np])
@pytest.mark.parametrize("kind", ["int64", "uint64"])
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_gather_of_indices_too_long_for_int32_is_outside(module, kind, transform):
    table = jnp.asarray(TABLE, jnp.float32)
    far = 2**64 - 2**32 if kind == "uint64" else -(2**40)
    rows = transform(ops.gather)(table, module.asarray([far, 2**32 + 2, 2], kind))
    assert np.isnan(rows[:2]).all() and rows[2].tolist() == TABLE[2]


def test_gather_refuses_what_is_no_index():
    table = jnp.asarray(TABLE, jnp.float32)
    for kind in (jnp.float32, jnp.bool_):
        with pytest.raises(TypeError, match="`gather` expects indices that are integers, got "):
            ops.gather(table, jnp.ones(2, kind))
    index = jnp.zeros(2, jnp.int32)
    text = r"1 to 2 index arrays of equal shapes for a table of shape \(3, 2\), got {}"
    with pytest.raises(ValueError, match=text.format("0 of shapes")):
        ops.gather(table)
    with pytest.raises(ValueError, match=text.format("3 of shapes")):
        ops.gather(table, index, index, index)
    with pytest.raises(ValueError, match=text.format(r"2 of shapes \[\(2,\), \(1,\)\]")):
        ops.gather(table, index, index[:1])
