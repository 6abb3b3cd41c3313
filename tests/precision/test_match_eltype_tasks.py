"""match_eltype in asyncio tasks and threads: each has a mode of its own, and none stays behind."""

import asyncio
import contextvars
import threading

import jax
import jax.numpy as jnp
import pytest

import sciml_lux as lux
from sciml_lux import nn, precision

pytestmark = pytest.mark.any_precision
LAYER = nn.Dense(2, 3)
X = jnp.ones((4, 2), jnp.float32)


def output_dtype():
    """float16 in mode "convert", float32 in mode "none"; called eagerly."""
    return LAYER(X, *lux.setup(0, LAYER, jnp.float16))[0].dtype.name


def compiled_dtype():
    ps, st = lux.setup(0, LAYER, jnp.float16)
    return jax.jit(lambda x: LAYER(x, ps, st)[0])(X).dtype.name


async def seen(mode, start, stop):
    """The modes and dtypes that a task sees that is in `mode` from turn `start` to turn `stop`."""
    found = []
    for _ in range(start):
        await asyncio.sleep(0)
    with precision.match_eltype(mode):
        for _ in range(stop - start):
            found.append((precision.match_eltype_mode(), output_dtype()))
            await asyncio.sleep(0)
    return [*found, (precision.match_eltype_mode(), output_dtype())]


def test_tasks_that_take_turns_see_their_own_mode_and_none_stays():
    async def together():
        # The first to enter leaves first: its mode must not be what the second goes back to.
        return await asyncio.gather(seen("convert", 0, 3), seen("none", 1, 5), seen("warn", 2, 4))

    with pytest.warns(precision.EltypeMismatchWarning):
        convert, none, warn = asyncio.run(together())
    outside = ("none", "float32")
    assert convert == [*3 * [("convert", "float16")], outside]
    assert none == [*4 * [("none", "float32")], outside]
    assert warn == [*2 * [("warn", "float32")], outside]
    assert precision.match_eltype_mode() == "none"
    assert (output_dtype(), compiled_dtype()) == ("float32", "float32")


def test_compiled_functions_of_tasks_that_do_not_await_inside_are_their_own():
    async def call(mode):
        found = []
        for _ in range(3):
            with precision.match_eltype(mode):
                found.append(compiled_dtype())
            await asyncio.sleep(0)
        return found

    async def together():
        return await asyncio.gather(call("convert"), call("none"))

    assert asyncio.run(together()) == [3 * ["float16"], 3 * ["float32"]]


def test_function_compiled_for_the_mode_of_another_task_is_an_error():
    async def first():
        with precision.match_eltype("convert"):
            await asyncio.sleep(0)
            return compiled_dtype()

    async def second():
        with precision.match_eltype("warn"):
            await asyncio.sleep(0)

    async def together():
        await asyncio.gather(first(), second())

    text = (
        "compiled for the mode 'warn' of this thread, but is called in the mode 'convert'.*`await`"
    )
    with pytest.raises(RuntimeError, match=text):
        asyncio.run(together())
    assert compiled_dtype() == "float32"


def test_context_that_a_thread_is_given_holds_there_and_nothing_is_compiled_for_another():
    found = []

    def call():
        found.append((precision.match_eltype_mode(), output_dtype()))
        with pytest.raises(RuntimeError, match="compiled for the mode 'none' of this thread"):
            compiled_dtype()
        with precision.match_eltype(precision.match_eltype_mode()):
            found.append(compiled_dtype())

    with precision.match_eltype("convert"):
        context = contextvars.copy_context()
        threads = [threading.Thread(target=context.run, args=(call,))]
        # A thread without it has the mode of the process.
        threads.append(threading.Thread(target=lambda: found.append(compiled_dtype())))
        for thread in threads:
            thread.start()
            thread.join(60)
    assert found == [("convert", "float16"), "float16", "float32"]


def test_generator_that_is_closed_elsewhere_leaves_no_mode():
    async def numbers():
        with precision.match_eltype("convert"):
            yield precision.match_eltype_mode()

    async def leave_early():
        async for mode in numbers():
            return mode  # The loop closes the generator in a task of its own.

    assert asyncio.run(leave_early()) == "convert"
    assert precision.match_eltype_mode() == "none" and compiled_dtype() == "float32"
