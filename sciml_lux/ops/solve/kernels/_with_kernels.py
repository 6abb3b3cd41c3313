"""with_kernels: a solve by components with its kernels, or why it has none."""

import dataclasses
from dataclasses import dataclass

import jax
import numpy as np

from ....programs import ClosedJaxpr
from ..forward._loop import Given, Options, Steering
from ..steps._form import Form
from ._backward import BackwardKernel
from ._field_text import field_text, field_vjp_text
from ._forward import ForwardKernel
from ._limits import why_not_kernel


def with_kernels(
    form: Form, options: Options, given: Given, steering: Steering
) -> tuple[Form, str]:
    """The form with the kernels of its solve, and why it has none; empty if it has.

    Args:
        form: by components.
        options: of the solve.
        given: what it is differentiated with respect to.
        steering: what its steps depend on.
    """
    components = len(given.y0)

    def field(t: jax.Array, *rest: jax.Array) -> list[jax.Array]:
        return form.field(list(rest[components:]), t, list(rest[:components]))

    leaves = [given.t0, *given.y0, *given.parameters]
    program = jax.make_jaxpr(field)(*(jax.ShapeDtypeStruct((), x.dtype) for x in leaves))
    reason = why_not_kernel(program, options, given)
    if reason:
        return form, reason
    # Types, not arrays: the rules of derivatives keep the form, and would keep these.
    kernels = _Kernels(program, options, *jax.tree.map(jax.typeof, (given, steering)))
    return dataclasses.replace(form, kernels=kernels), ""


@dataclass(frozen=True, eq=False)
class _Kernels:
    """The kernels of a solve.

    Args:
        program: its field, of scalars.
        options: of the solve.
        given: the types of what it is differentiated with respect to.
        steering: the types of what its steps depend on.
    """

    program: ClosedJaxpr
    options: Options
    given: Given
    steering: Steering

    def forward(self, remember: bool) -> ForwardKernel:
        """That of the solve."""
        return ForwardKernel(
            field=field_text(self.program, len(self.given.y0)),
            dtype=np.dtype(self.given.t0.dtype),
            components=len(self.given.y0),
            parameters=len(self.given.parameters),
            wanted=self.given.ts.size,
            in_norm=tuple(tolerance is not None for tolerance in self.steering.atol),
            has_first_step=self.steering.dt0 is not None,
            continues=self.steering.errors is not None,
            remember=remember,
            options=self.options,
        )

    def backward(self, moving: tuple[bool, ...]) -> BackwardKernel:
        """That of the transpose of its recorded steps."""
        components = len(self.given.y0)
        return BackwardKernel(
            field=field_text(self.program, components),
            field_vjp=field_vjp_text(self.program, components, moving),
            dtype=np.dtype(self.given.t0.dtype),
            components=components,
            moving=moving,
            wanted=self.given.ts.size,
            options=self.options,
        )
