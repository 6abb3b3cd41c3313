import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import ops
from sciml_lux.ops.internal import op
from tests.catalogue import OPS
from tests.conftest import needs_x32

NAMES = sorted({entry.name for entry in OPS})


@op("x", "more")
def scaled(x, factor=2.0, *more):
    """x times a number."""
    return factor * x


def test_decorated_function_answers_wide_data_and_takes_wide_settings():
    assert (scaled.__name__, scaled.__doc__) == ("scaled", "x times a number.")
    narrow, wide = np.ones(2, np.float32), np.ones(2)
    calls = {
        "`x`": lambda: scaled(wide),
        "`x`, a": lambda: scaled(factor=1.0, x=wide),
        r"`more`\[1\]": lambda: scaled(narrow, 1.0, narrow, wide),
    }
    for where, call in calls.items():
        text = f"^`scaled`: {where}.* NumPy array, is float64, but jax_enable_x64 is off"
        with jax.enable_x64(False), pytest.raises(TypeError, match=text):
            call()
    with jax.enable_x64(False):
        np.testing.assert_array_equal(scaled(narrow, np.float64(3.0)), [3.0, 3.0])
    with jax.enable_x64(True):
        np.testing.assert_array_equal(scaled(wide), [2.0, 2.0])


def test_decorated_function_has_its_data_looked_at_wherever_it_is_given():
    @op("x")
    def last(axis, *, x=None):
        return x

    with jax.enable_x64(True):
        wide = jnp.ones(2, jnp.float64)
    with jax.enable_x64(False):
        assert last(np.float64(1.0)) is None
        for x in (wide, np.ones(2), [np.ones(2)]):
            with pytest.raises(TypeError, match=r"^`last`: `x`.* is float64, but jax_enable_x64"):
                last(0, x=x)
    for on in (True, False):
        masked = np.ma.masked_array(np.ones(2, np.float32))
        with jax.enable_x64(on), pytest.raises(TypeError, match="^`last`: `x` is a masked array"):
            last(0, x=masked)


@pytest.mark.parametrize("name", NAMES)
def test_every_op_is_decorated_and_keeps_its_signature_docstring_and_pickle(name):
    function = getattr(ops, name)
    plain = inspect.unwrap(function)
    assert plain is not function and plain.__code__.co_filename != function.__code__.co_filename
    assert inspect.signature(function) == inspect.signature(plain)
    assert (function.__doc__, function.__module__) == (plain.__doc__, plain.__module__)
    assert pickle.loads(pickle.dumps(function)) is function


def test_plain_function_stays_within_reach():
    def double(x):
        return 2 * x

    assert op("x")(double).__wrapped__ is double


def seen(record):
    """An op that keeps what it is given."""

    @op("x", "more")
    def kept(x, factor=1.0, *more):
        record.extend([x, factor, more])
        return x

    return kept


def test_arrays_of_jax_and_numbers_are_given_as_they_are():
    x, record = {"a": jnp.ones(2, jnp.float32), "b": [1, None]}, []
    assert seen(record)(x, np.float32(2.0), 3.0) is x
    assert record[0] is x and isinstance(record[1], np.float32) and record[2] == (3.0,)


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"a": [x]}, lambda x: (x, 1.0)])
def test_arrays_of_numpy_are_copied_wherever_they_are(wrap):
    memory, record = np.ones(3, np.float32), []
    seen(record)(wrap(memory), 1.0, wrap(memory))
    given = jax.tree.leaves([record[0], record[2]])
    memory[:] = 2.0
    for array in given:
        assert not np.shares_memory(array, memory)
        np.testing.assert_array_equal(array, 1.0)
    assert jax.tree.structure(record[0]) == jax.tree.structure(wrap(memory))


SIZE = 600
CALLS = {
    "identity": ops.identity,
    "dense": lambda x: ops.fused_dense_bias_activation(ops.identity, jnp.eye(SIZE), x),
    "batched_matmul": lambda x: ops.batched_matmul(jnp.eye(SIZE), x),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_written_to_numpy_after_the_call_changes_nothing(name):
    # JAX reads the memory after the call has returned: without a copy, all three differ.
    for _ in range(3):
        x = np.ones((SIZE, SIZE), jnp.zeros(()).dtype)
        y = CALLS[name](x)
        x[:] = -5.0
        assert np.asarray(y).min() >= 0


@needs_x32
def test_integers_that_jax_would_cut_need_floats_beside_them():
    long = np.asarray([[2**40 + 1]])
    for call in (
        lambda: ops.identity(long),
        lambda: ops.pad_zeros(long[..., None], 1),
        lambda: ops.batched_matmul(long, long),
    ):
        with pytest.raises(TypeError, match="`x` has int64 numbers that int32 cannot hold"):
            call()
    y = ops.batched_matmul(long, jnp.ones((1, 1), jnp.float32))
    np.testing.assert_allclose(y, 2.0**40, rtol=1e-6)
    np.testing.assert_array_equal(ops.identity(np.asarray([3])), [3])


def test_there_is_no_jit_behind_it():
    values = []

    @op("x")
    def watched(x):
        values.append(float(x))
        return x

    watched(jnp.ones((), jnp.float32))
    watched(np.ones((), np.float32))
    assert values == [1.0, 1.0]
    program = str(jax.make_jaxpr(ops.relu)(jnp.ones(2, jnp.float32)))
    assert program == str(jax.make_jaxpr(inspect.unwrap(ops.relu))(jnp.ones(2, jnp.float32)))
