"""What a kernel gets and returns: the batch last, operands that members share without it."""

import functools

import jax
import numpy as np
import pytest

from sciml_lux import programs
from sciml_lux.ops.kernels import _with_kernel, linear_with_kernel, with_kernel

from .recurrence import Forward, Transposed, differentiable, plain, plain_linear
from .test_rules import ONE, OWN, PUSH, VALUES, X, equal

pytestmark = pytest.mark.any_precision
RUN = ("vmap of all", "vmap of the second axis", "vmap of vmap", "vmap of vmap, shared by neither")
DIFFERENTIATED = ("grad", "vmap of grad", "jacobian by reverse mode", "grad of scan")
CASES = {
    name: table[name] for names, table in [(RUN, VALUES), (DIFFERENTIATED, OWN)] for name in names
}


def emulated(called):
    """What stands for a launch: the kernel's own form in NumPy, on arrays as CUDA has them."""

    def launched(kernel, mapped, size, operands, types):
        called.append((type(kernel).__name__, mapped, size))
        assert all(x.shape[-1] == size for x, flag in zip(operands, mapped, strict=True) if flag)
        structs = [jax.ShapeDtypeStruct(t.shape, t.dtype) for t in types]
        run = lambda *operands: kernel.run(operands, mapped, size)
        return list(jax.pure_callback(run, structs, *operands))

    return launched


def on_cuda(call, *operands):
    return _with_kernel._on_cuda(*operands, **call.params)


RULES = {"with_kernel": on_cuda, "own_derivative": programs.inlined}


def as_on_cuda(function):
    """`function()`, with kernels where CUDA has them."""
    program, tree = jax.make_jaxpr(function, return_shape=True)()
    values = jax.jit(lambda: programs.interpret(program, [], RULES, default=programs.bind))()
    return jax.tree.unflatten(jax.tree.structure(tree), values)


@pytest.mark.parametrize("case", CASES)
def test_kernel_on_its_arrays_gives_what_the_plain_function_gives(case, monkeypatch):
    called = []
    monkeypatch.setattr(_with_kernel, "launched", emulated(called))
    found = as_on_cuda(lambda: CASES[case](differentiable))
    equal(found, jax.jit(lambda: CASES[case](plain))())
    assert called


def test_operands_shared_by_all_batches_have_no_axis_for_them(monkeypatch):
    called = []
    monkeypatch.setattr(_with_kernel, "launched", emulated(called))
    as_on_cuda(lambda: CASES["vmap of vmap, shared by neither"](differentiable))
    assert called == [("Forward", (True, True, False, False), 6)]


def test_constants_of_a_function_are_not_operands_of_its_kernels(monkeypatch):
    zeros, called = np.zeros(3, PUSH.dtype), []
    monkeypatch.setattr(_with_kernel, "launched", emulated(called))

    def closing(x, rate, push, start):
        return plain(x, rate, push + zeros, start)

    def closing_linear(residuals, tangents):
        return plain_linear([(residuals[0] + zeros)[0]], tangents)

    def found(function, linear):
        def one(x):
            path, above = function(x, *ONE[1:])
            through = jax.linear_transpose(lambda x, push: linear([ONE[1]], [x, push]), x, PUSH)
            return path, above, through([path])

        return jax.vmap(one)(X[0])

    kernels = Forward(PUSH.dtype.name), Transposed(PUSH.dtype.name)
    with_kernels = functools.partial(with_kernel, closing, kernels[0])
    linear = functools.partial(linear_with_kernel, closing_linear, kernels[1])
    equal(as_on_cuda(lambda: found(with_kernels, linear)), found(plain, plain_linear))
    assert [name for name, *_ in called] == ["Forward", "Transposed"]
