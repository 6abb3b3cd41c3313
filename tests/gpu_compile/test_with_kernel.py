"""A function with a kernel is one launch, in a command buffer, without copies of its arrays."""

import re

import jax
import jax.numpy as jnp
import pytest

from tests.ops.kernels.recurrence import differentiable

from .described import copied, launches, names

pytestmark = pytest.mark.gpu_compile
NUMBER = 500
DTYPE = jnp.float32
X, RATE, PUSH, RATES = (jax.ShapeDtypeStruct(s, DTYPE) for s in [(NUMBER,), (), (3,), (10,)])
AT_ONCE = {"xla_gpu_graph_min_graph_size": 1}
"""A command buffer also where there is little to put into it."""


def batch(x, rate, push):
    return jax.vmap(differentiable, (0, None, None, None), [1, 0])(x, rate, push, jnp.int32(3))


def end(x, rate, push):
    return jnp.sum(batch(x, rate, push)[0][1:] ** 3)


def test_one_launch_in_a_command_buffer(tmp_path):
    found = launches(batch, X, RATE, PUSH, folder=tmp_path, **AT_ONCE)
    assert found.outside == found.buffers == [("kCustomKernel", "forward")]


def test_gradient_is_one_more(tmp_path):
    found = launches(jax.grad(end, (0, 2)), X, RATE, PUSH, folder=tmp_path, **AT_ONCE)
    assert names(found.buffers) == names(found.outside)
    assert [name for name in names(found.buffers) if "fusion" not in name] == [
        "forward",
        "transposed",
    ]
    assert not names(found.outside, "kCopy") and not copied(found, NUMBER)


def in_a_scan(x, rates, push):
    return jax.lax.scan(lambda _, rate: ((), batch(x, rate, push)), (), rates)[1]


def in_a_while(x, rate, push):
    def goes_on(state):
        return jnp.max(state[1]) < 1

    def once(state):
        count, x = state
        path, above = batch(x, rate, push)
        return count + jnp.max(above), path[-1]

    return jax.lax.while_loop(goes_on, once, (jnp.int32(0), x))


LOOPS = {"scan": (in_a_scan, RATES), "while": (in_a_while, RATE)}


@pytest.mark.parametrize("loop", LOOPS)
def test_one_launch_in_each_iteration(loop, tmp_path):
    function, rate = LOOPS[loop]
    found = launches(function, X, rate, PUSH, folder=tmp_path)
    [loop] = found.loops
    assert names(loop["body"]).count("forward") == 1
    # Rows of a scan's results are put into their place; nothing else is.
    assert [shape for shape in copied(found, NUMBER) if not shape.startswith("1,")] == []


def test_equal_operands_stay_in_the_call(tmp_path):
    found = launches(
        lambda x, push: differentiable(x, x, push, jnp.int32(1)), RATE, PUSH, folder=tmp_path
    )
    [operands] = re.findall(r"custom-call\(([^)]*)\)", found.text)
    # The size, x, x, the pushes and the start.
    size, x, same, push, start = operands.split(", ")
    assert x == same and len({size, x, push, start}) == 4
