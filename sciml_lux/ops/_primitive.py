"""The extension points of JAX that a primitive of our own needs, all in one place."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr as ClosedJaxpr
from jax.extend.core import Literal
from jax.extend.core import Primitive as Primitive
from jax.extend.core import jaxpr_as_fun as jaxpr_as_fun
from jax.interpreters import ad, batching, mlir, partial_eval

from ..programs import constants_of, with_constants_as_arguments

Value: TypeAlias = Any
"""What JAX hands to a rule: an array, a tracer, a type, a symbolic zero or an undefined primal."""

is_undefined = ad.is_undefined_primal
instantiated = ad.instantiate_zeros


def is_zero(tangent: Value) -> bool:
    """Whether a tangent or cotangent is known to be 0 while tracing."""
    return type(tangent) is ad.Zero


def zero_like(value: Value) -> Any:
    """A zero tangent of a value."""
    return ad.Zero(jax.typeof(value).to_tangent_aval())


def type_of(value: Value) -> Any:
    """Shape and dtype, also of an argument that is to be transposed."""
    if isinstance(value, jax.ShapeDtypeStruct):
        return value
    return value.aval if is_undefined(value) else jax.typeof(value)


def is_inexact(value: Value) -> bool:
    """Whether a value, or a type, has derivatives."""
    return jnp.issubdtype(value.dtype, jnp.inexact)


def is_mapped(value: Value) -> bool:
    """Whether a value has one member for each of a batch, inside a function that `vmap` maps."""
    return getattr(value, "batch_dim", None) is not None


def program_of(f: Callable, types: Sequence[Value]) -> tuple[ClosedJaxpr, list[Value]]:
    """The program of `f`, and the arrays it closes over, which are its first operands."""
    structs = [jax.ShapeDtypeStruct(t.shape, t.dtype) for t in types]
    program = jax.make_jaxpr(f)(*structs)
    return ClosedJaxpr(with_constants_as_arguments(program), ()), list(constants_of(program))


def pruned(
    program: ClosedJaxpr, used_outputs: Sequence[bool], kept_inputs: Sequence[bool]
) -> tuple[ClosedJaxpr, list[bool]]:
    """`program` without unused outputs and inputs, and which inputs remain."""
    jaxpr, used = partial_eval.dce_jaxpr(program.jaxpr, list(used_outputs), list(kept_inputs))
    return ClosedJaxpr(jaxpr, ()), list(used)


def register(
    primitive: Primitive,
    *,
    run: Callable,
    types: Callable,
    batch: Callable,
    jvp: Callable | None = None,
    transpose: Callable | None = None,
    run_on: Mapping[str, Callable] | None = None,
) -> None:
    """Define what a primitive computes, the types of its results, and its rules.

    Args:
        primitive: the one to define.
        run: what it computes, in other primitives; it compiles to this.
        types: shape and dtype of a result, or a list of them.
        batch: the rule of `vmap`.
        jvp: the rule of forward mode; None for one without derivatives.
        transpose: the rule of reverse mode.
        run_on: by the name of a platform, what it compiles to there instead.
    """
    several = primitive.multiple_results

    def abstract(*args: Value, **params: object) -> Any:
        found = types(*args, **params)
        made = [ShapedArray(*t) for t in (found if several else [found])]
        return made if several else made[0]

    primitive.def_abstract_eval(abstract)

    def eager(*args: Value, **params: object) -> Any:
        # Bound again, for what it compiles to here; without `jit` that would go on for ever.
        disabled = jax.config.jax_disable_jit  # pyright: ignore[reportAttributeAccessIssue]
        called = run if disabled else primitive.bind
        return jax.jit(functools.partial(called, **params))(*args)

    # Newer JAX would take it apart where a program inside it, as of `jnp.searchsorted`, is made of
    # primitives that compile as others; `run` does that.
    primitive.is_high = lambda *_, **__: False  # pyright: ignore[reportAttributeAccessIssue]
    primitive.def_impl(eager)
    mlir.register_lowering(primitive, mlir.lower_fun(run, multiple_results=several))
    for platform, run_there in (run_on or {}).items():
        lowered = mlir.lower_fun(run_there, multiple_results=several)
        mlir.register_lowering(primitive, lowered, platform=platform)
    batching.primitive_batchers[primitive] = batch
    if jvp is not None:
        ad.primitive_jvps[primitive] = jvp
    if transpose is not None:
        ad.primitive_transposes[primitive] = transpose


def register_parting(
    primitive: Primitive,
    values_alone: Primitive,
    *,
    number_of_values: Callable[..., int],
    number_of_results: Callable[..., int],
    part: Callable[..., tuple[list[Value], Any]],
) -> None:
    """Define how values and tangents part where the values are known and their tangents are not.

    That is where a function is linearised, to be transposed or to be evaluated at many tangents.

    Args:
        primitive: values and their tangents in one; its parameters are those of `values_alone`, and
            `flags`.
        values_alone: what computes the values, and what is linear in the tangents.
        number_of_values: of the operands and flags, how many come before the tangents.
        number_of_results: of the parameters, how many results `values_alone` has.
        part: of the values and the parameters the results, and an object whose method `of` gives
            the tangents.
    """

    def traced(trace: Any, *tracers: Any, flags: Any, **params: Any) -> list[Value]:
        count = number_of_values(tracers, flags)
        known = [tracer.is_known() for tracer in tracers]
        if all(known) or not all(known[:count]):
            params["flags"] = flags
            return trace.default_process_primitive(primitive, tracers, params)
        values = [tracer.pval.get_known() for tracer in tracers[:count]]
        results, linear = part(*values, flags=flags, **params)

        def through(*operands: Value, **params: Any) -> list[Value]:
            return trace.default_process_primitive(values_alone, operands, params)

        return [*results, *linear.of(*tracers[count:], through=through)]

    def checkpointed(
        _: Any, unknown: Sequence[bool], instantiated: Sequence[bool], equation: Any
    ) -> tuple[Any, Any, list[bool], list[bool], list[Any]]:
        """The values, once where they are known and again where the tangents are computed."""
        params = dict(equation.params)
        count = number_of_values(equation.invars, params.pop("flags"))
        residual = [
            v
            for v, there in zip(equation.invars, instantiated, strict=True)
            if not there and not isinstance(v, Literal)
        ]
        total = len(equation.outvars)
        if not any(unknown):
            return equation, equation, [False] * total, [True] * total, residual
        if any(unknown[:count]):
            return None, equation, [True] * total, [True] * total, residual
        results = number_of_results(**params)
        known = equation.replace(
            primitive=values_alone,
            invars=equation.invars[:count],
            outvars=equation.outvars[:results],
            params=params,
        )
        moved = [i >= results for i in range(total)]
        return known, equation, moved, [True] * total, residual

    partial_eval.custom_partial_eval_rules[primitive] = traced
    partial_eval.partial_eval_jaxpr_custom_rules[primitive] = checkpointed
