"""A while loop whose batch is the last axis of all that it carries: what it computes, and how."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.solve import any_in_batch
from sciml_lux.ops.solve.loops._while_loop import while_loop, with_line

pytestmark = pytest.mark.any_precision

ROWS = 6


def powers(base, least):
    """The powers of a base until all of a batch exceed `least`, one in each row, and how many."""

    def goes_on(state):
        _, last, _ = state
        return any_in_batch(last <= least)

    def body(state):
        rows, last, number = state
        return (
            with_line(rows, last, number),
            jnp.where(last <= least, last * base, last),
            number + 1,
        )

    start = (jnp.zeros(ROWS, jnp.float32), jnp.ones((), jnp.float32), jnp.int32(0))
    return while_loop(goes_on, body, start)


def in_plain_python(base, least):
    rows, last = [], np.float32(1)
    while last <= least:
        rows.append(last)
        last = last * np.float32(base)
    return rows, last


BASES, LEASTS = np.float32([2, 3, 1.5]), np.float32([3, 20, 2])


@pytest.mark.parametrize("jit", [jax.jit, lambda f: f], ids=["jit", "eager"])
def test_one(jit):
    rows, last, number = jit(powers)(jnp.float32(2), jnp.float32(10))
    kept, end = in_plain_python(2, 10)
    assert int(number) == len(kept) and float(last) == end
    np.testing.assert_array_equal(rows[: len(kept)], kept)


def test_batches_are_those_of_each_and_what_all_share_stays_shared():
    rows, last, number = jax.jit(jax.vmap(powers, out_axes=(0, 0, None)))(BASES, LEASTS)
    assert number.shape == ()
    for i, (base, least) in enumerate(zip(BASES, LEASTS, strict=True)):
        kept, end = in_plain_python(base, least)
        np.testing.assert_array_equal(rows[i, : len(kept)], kept)
        np.testing.assert_allclose(last[i], end)


def test_a_batch_of_batches_is_one():
    bases = np.stack([BASES, BASES[::-1]])
    whole = jax.jit(jax.vmap(jax.vmap(powers), in_axes=(0, None)))(bases, LEASTS)
    for i in range(2):
        each = jax.vmap(powers)(bases[i], LEASTS)
        count = int(each[2].max())
        np.testing.assert_array_equal(whole[0][i, :, :count], each[0][:, :count])
        np.testing.assert_array_equal(whole[1][i], each[1])


def test_rows_are_whole_lines_of_memory():
    program = str(jax.make_jaxpr(jax.vmap(powers))(BASES, LEASTS))
    assert f"f32[{ROWS},3]" in program.split("while_loop_of_solve", maxsplit=1)[0]


def test_a_number_of_each_member():
    rows = jnp.zeros((3, ROWS), jnp.float32)
    found = jax.vmap(with_line)(rows, BASES, jnp.int32([0, 2, 5]))
    wanted = np.zeros((3, ROWS), np.float32)
    wanted[[0, 1, 2], [0, 2, 5]] = BASES
    np.testing.assert_array_equal(found, wanted)
