"""linear_with_kernel: a linear function of one member of a batch, whose transpose has a kernel."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .._primitive import (
    ClosedJaxpr,
    Primitive,
    Value,
    instantiated,
    is_undefined,
    is_zero,
    jaxpr_as_fun,
    program_of,
    register,
)
from ._batch import Flags, Member, batch_rule, bind
from ._kernel import Kernel
from ._of_program import jvp, run, types
from ._with_kernel import member_program, with_kernel_p

linear_with_kernel_p = Primitive("linear_with_kernel")
linear_with_kernel_p.multiple_results = True


def linear_with_kernel(
    function: Callable[[Sequence[Value], Sequence[Value]], Sequence[Value]],
    transposed: Kernel,
    residuals: Sequence[Value],
    tangents: Sequence[Value],
) -> list[jax.Array]:
    """`function(residuals, tangents)`, whose transpose is `transposed` on CUDA.

    It has a batch as `with_kernel` has one. Each member's cotangents are computed apart; those of a
    tangent that members share are then added up.

    Args:
        function: linear in the tangents; of lists of arrays, those of one member of the batch;
            returns a list of arrays.
        transposed: from the residuals and the cotangents of the results, in this order, the
            cotangents of the tangents.
        residuals: what is constant.
        tangents: what it is linear in.
    """
    count = len(residuals)
    program, constants = member_program(
        lambda *given: function(given[:count], given[count:]), [*residuals, *tangents]
    )
    fixed = [*constants, *residuals]
    # Always mapped: where members share a tangent, its copies are what is transposed to their sum.
    own = [jnp.expand_dims(tangent, -1) for tangent in tangents]
    found = bind(
        linear_with_kernel_p,
        Member(lambda: program),
        [*fixed, *own],
        (False,) * len(fixed) + (True,) * len(own),
        1,
        transposed=transposed,
        constants=len(constants),
        fixed=len(fixed),
    )
    return [jnp.squeeze(result, -1) for result in found]


def _jvp(
    operands: Sequence[Value], tangents: Sequence[Value], *, fixed: int, **params: Any
) -> tuple[list[Value], list[Value]]:
    if not all(map(is_zero, tangents[:fixed])):
        return jvp(operands, tangents, **params)
    moved = [*operands[:fixed], *map(instantiated, tangents[fixed:])]
    through = linear_with_kernel_p.bind
    return through(*operands, fixed=fixed, **params), through(*moved, fixed=fixed, **params)


def _transpose(
    cotangents: Sequence[Value],
    *operands: Value,
    call_jaxpr: ClosedJaxpr,
    member: Member,
    mapped: Flags,
    size: int,
    transposed: Kernel,
    constants: int,
    fixed: int,
) -> list[Value | None]:
    found = with_kernel_p.bind(
        *operands[:fixed],
        *map(instantiated, cotangents),
        # That of the batch, not the batch of transposes: XLA makes faster loops of it.
        call_jaxpr=_transposed(call_jaxpr, fixed),
        member=Member(lambda: _transposed(member.program, fixed)),
        mapped=mapped[:fixed] + (True,) * len(cotangents),
        size=size,
        kernel=transposed,
        constants=constants,
    )
    pairs = zip(operands[fixed:], found, strict=True)
    return [*(None for _ in range(fixed)), *(c if is_undefined(x) else None for x, c in pairs)]


def _transposed(program: ClosedJaxpr, fixed: int) -> ClosedJaxpr:
    """From what is constant and the cotangents of the results to those of the tangents."""
    types, function = program.in_avals, jaxpr_as_fun(program)

    def backward(*given: Value) -> list[Value]:
        def forward(*tangents: Value) -> list[Value]:
            return function(*given[:fixed], *tangents)

        return list(jax.linear_transpose(forward, *types[fixed:])(list(given[fixed:])))

    return program_of(backward, [*types[:fixed], *program.out_avals])[0]


register(
    linear_with_kernel_p,
    run=run,
    types=types,
    batch=batch_rule(linear_with_kernel_p),
    jvp=_jvp,
    transpose=_transpose,
)
