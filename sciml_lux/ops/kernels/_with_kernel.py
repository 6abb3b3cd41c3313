"""with_kernel: a function of one member of a batch, which CUDA computes by a kernel."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from .._primitive import ClosedJaxpr, Primitive, Value, jaxpr_as_fun, program_of, register
from ._batch import Flags, Member, batch_rule, bind
from ._in_chunks import in_chunks
from ._kernel import Kernel
from ._launch import launched
from ._of_program import jvp, run, types

with_kernel_p = Primitive("with_kernel")
with_kernel_p.multiple_results = True


def with_kernel(
    function: Callable[..., Sequence[Value]], kernel: Kernel | None, *operands: Value
) -> list[jax.Array]:
    """`function(*operands)`, which is `kernel` where the program is compiled for CUDA.

    `vmap` makes a batch of it, in one call of the kernel, and `vmap` of that a larger batch. A CPU
    computes a chunk of the batch at a time. What is differentiated is `function`.

    Args:
        function: of arrays, those of one member of the batch; returns a list of arrays.
        kernel: computes the same; None where there is none.
        operands: the arrays.
    """
    program, constants = member_program(function, operands)
    return bind(
        with_kernel_p,
        Member(lambda: program),
        [*constants, *operands],
        (False,) * (len(constants) + len(operands)),
        1,
        kernel=kernel,
        constants=len(constants),
    )


def member_program(
    function: Callable[..., Sequence[Value]], operands: Sequence[Value]
) -> tuple[ClosedJaxpr, list[Value]]:
    """The program of `function`, and the constants in it, which are its first operands.

    Raises:
        TypeError: it closes over a traced array, of which its kernel would know nothing.
    """
    program, constants = program_of(
        lambda *operands: list(function(*operands)), [jax.typeof(x) for x in operands]
    )
    for constant in constants:
        if isinstance(constant, Tracer):
            raise TypeError(
                "a function with a kernel expects all its arrays as operands, got one that closes "
                f"over the traced {constant.aval}. Make it an operand."
            )
    return program, constants


def _on_cuda(
    *operands: Value,
    call_jaxpr: ClosedJaxpr,
    kernel: Kernel | None,
    constants: int,
    mapped: Flags,
    size: int,
    **_: Any,
) -> list[Value]:
    plain, found = jaxpr_as_fun(call_jaxpr), None
    given, flags, types = operands[constants:], mapped[constants:], call_jaxpr.out_avals
    if kernel is not None and any(mapped):
        found = launched(kernel, flags, size, given, types)
    elif kernel is not None:  # One member is a batch of one.
        types = [jax.ShapeDtypeStruct((*t.shape, 1), t.dtype) for t in types]
        given = [jnp.expand_dims(x, -1) for x in given]
        found = launched(kernel, (True,) * len(given), size, given, types)
        found = found and [jnp.squeeze(result, -1) for result in found]
    return plain(*operands) if found is None else found


register(
    with_kernel_p,
    run=run,
    types=types,
    batch=batch_rule(with_kernel_p),
    jvp=jvp,
    run_on={"cuda": _on_cuda, "cpu": in_chunks},
)
