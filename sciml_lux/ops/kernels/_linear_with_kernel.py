"""linear_with_kernel: a linear function of one member of a batch, whose transpose has a kernel."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

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
from ._in_chunks import in_chunks
from ._kernel import Kernel
from ._of_program import jvp, run, types
from ._with_kernel import member_program, with_kernel_p

linear_with_kernel_p = Primitive("linear_with_kernel")
linear_with_kernel_p.multiple_results = True


def linear_with_kernel(
    function: Callable[[Sequence[Value], Sequence[Value]], Sequence[Value]],
    transposed: Kernel | None,
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
            cotangents of the tangents; None where there is none.
        residuals: what is constant.
        tangents: what it is linear in.
    """
    count = len(residuals)
    program, constants = member_program(
        lambda *given: function(given[:count], given[count:]), [*residuals, *tangents]
    )
    fixed = [*constants, *residuals]
    return bind(
        linear_with_kernel_p,
        Member(lambda: program),
        [*fixed, *tangents],
        (False,) * (len(fixed) + len(tangents)),
        1,
        transposed=transposed,
        constants=len(constants),
        fixed=len(fixed),
    )


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
    transposed: Kernel | None,
    constants: int,
    fixed: int,
) -> list[Value | None]:
    found = with_kernel_p.bind(
        *operands[:fixed],
        *map(instantiated, cotangents),
        call_jaxpr=_transposed(call_jaxpr, fixed),
        member=Member(
            lambda: _transposed(member.program, fixed),
            functools.partial(_transposed_batch, member, fixed),
        ),
        mapped=mapped[:fixed] + (any(mapped),) * len(cotangents),
        size=size,
        kernel=transposed,
        constants=constants,
    )
    pairs = zip(operands[fixed:], found, strict=True)
    return [*(None for _ in range(fixed)), *(c if is_undefined(x) else None for x, c in pairs)]


def _transposed_batch(
    member: Member, fixed: int, mapped: Flags, types: Sequence[Value]
) -> ClosedJaxpr | None:
    """That of the batch, not the batch of transposes: XLA makes faster loops of it."""
    if not all(mapped[fixed:]):
        return None
    size = types[-1].shape[-1]
    tangents = [
        jax.ShapeDtypeStruct((*t.shape, size), t.dtype) for t in member.program.in_avals[fixed:]
    ]
    flags = mapped[:fixed] + (True,) * len(tangents)
    return _transposed(member.of_all(flags, [*types[:fixed], *tangents]), fixed)


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
    # Of tangents that members share, the copies are what is transposed to their sum.
    batch=batch_rule(linear_with_kernel_p, lambda *, fixed, **_: fixed),
    jvp=_jvp,
    transpose=_transpose,
    run_on={"cpu": in_chunks},
)
