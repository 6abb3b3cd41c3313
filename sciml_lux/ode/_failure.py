"""A failed solve raises once, after the solve, and has no gradient."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import PyTree

from ..core import Parameters, layer_name
from ..precision.internal import floating_leaves
from ._equation import Equation
from ._method import plain
from ._problem_times import Times
from ._results import RESULTS
from ._solution import Solution

_CAUSES = (
    RESULTS.max_steps_reached,
    RESULTS.internal_error,
    RESULTS.diverged,
    RESULTS.no_step_accepted,
    RESULTS.times_out_of_order,
)


class Failure(NamedTuple):
    """Whether a solve failed, and why.

    Attributes:
        failed: a flag.
        cause: the number of the message.
    """

    failed: jax.Array
    cause: jax.Array


def with_failure(
    equation: Equation, t0: jax.Array, u0: PyTree, ps: Parameters, solution: Solution
) -> tuple[Solution, Failure]:
    """The solution, without a gradient where the solve failed; and the one cause of it.

    Args:
        equation: what was solved.
        t0: the time of the initial state.
        u0: the initial state.
        ps: the parameters.
        solution: what was found.
    """
    finite = _all_finite(u0)
    failed = ~finite | (solution.result != RESULTS.successful)
    # The field is looked at only after a failure.
    moving = jax.lax.cond(
        failed,
        lambda: _all_finite(equation.field(t0, u0, equation.parameters)),
        lambda: jnp.ones((), bool),
    )
    cause = jnp.asarray(3)
    for number, item in enumerate(_CAUSES, start=2):
        cause = jnp.where(solution.result == item, number, cause)
    cause = jnp.where(finite, jnp.where(moving, cause, 1), 0)
    ys = _without_gradient(solution.ys, floating_leaves((u0, ps))[0], failed)
    return solution._replace(ys=ys), Failure(failed, cause)


def raising(layer: Any, times: Times, solution: Solution, failure: Failure) -> Solution:
    """`solution`, with an error raised at run time if the solve failed.

    Args:
        layer: whose options the messages quote.
        times: of the problem.
        solution: what was found.
        failure: whether and why it is of no use.

    Raises:
        RuntimeError: at run time, with the cause.
    """
    name = layer_name(layer)
    method = layer.method
    t0, t1 = _named("t0", times.t0), _named("t1", times.t1)
    messages = [
        f"`{name}`: the initial state is not finite.",
        f"`{name}`: the vector field is not finite at {t0}. Look at the parameters "
        "and the initial state.",
        f"`{name}` took max_steps={method.max_steps} steps and did not reach {t1}. The solution "
        "may grow without bound or the problem be stiff: raise `max_steps`, loosen `rtol` and "
        "`atol`, or take an implicit solver such as diffrax.Kvaerno5().",
        f"`{name}`: the solver {type(plain(method.solver)).__name__} failed before {t1}; "
        "solve(...) with throw=False gives its `result`.",
        f"`{name}`: the state left the finite numbers before {t1}, however short the step was. "
        "The solution may grow without bound, or a step in the field lead out of its domain.",
        f"`{name}`: no step, however short, met rtol={method.rtol} and atol={method.atol}. Loosen "
        "them, or look for a jump in the vector field.",
        f"`{name}` expects times that are finite and in order from t0 to t1, with `ts` between. "
        "Sort them.",
    ]
    # Of several samples, the first that failed.
    first = jnp.argmax(failure.failed)
    failed, cause = jnp.any(failure.failed), jnp.ravel(failure.cause)[first]
    if isinstance(failed, Tracer):
        ys = eqx.branched_error_if(solution.ys, failed, cause, messages)
        return solution._replace(ys=ys)
    if failed:
        where = f" (sample {first} of {failure.failed.size})" if failure.failed.ndim else ""
        raise RuntimeError(messages[int(cause)] + where)
    return solution


def _named(name: str, times: jax.Array) -> str:
    """The name of a time, with its value where there is one."""
    known = not isinstance(times, Tracer) and times.ndim == 0
    return f"{name}={times.item()}" if known else name


def _all_finite(tree: PyTree) -> jax.Array:
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]).all()


@jax.custom_jvp
def _without_gradient(ys: PyTree, inputs: list[jax.Array], failed: jax.Array) -> Any:
    """`ys`, with a derivative of NaN with respect to all `inputs` where `failed`.

    Under `jit` an error is dropped if its value is not used, as in the gradient of a sum, and the
    states at times that were not reached do not depend on anything. Without this, the derivative of
    a solve that stopped half way could be zero.
    """
    return ys


@_without_gradient.defjvp
def _(primals: PyTree, tangents: PyTree) -> Any:
    ys, _, failed = primals
    # Only products and sums: this must be linear in the tangents, to be transposed.
    spoil = jnp.where(failed, jnp.nan, 0.0)

    def spoiled(tangent: jax.Array) -> jax.Array:
        factor = spoil.astype(tangent.dtype)
        tangents_in = [jnp.sum(t).astype(tangent.dtype) for t in tangents[1]]
        return tangent + factor * (tangent + sum(tangents_in))

    return ys, jax.tree.map(spoiled, tangents[0])
