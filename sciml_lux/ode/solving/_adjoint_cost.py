"""adjoint_cost: what a gradient of a solve takes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core import Record, Static
from ..method._method import Method
from ..problem._problem import Problem
from ._counted import Counted
from ._solve import solve


def adjoint_cost(
    field: Callable[..., PyTree],
    problem: Problem,
    args: PyTree = None,
    *,
    method: Method = Method(),  # noqa: B008
) -> Record:
    """What the gradient of a solve takes, by the initial state and `args`, and what the solve does.

    The solve and its gradient are compiled, and run once with a field that counts: that takes
    seconds. Predicted are the bytes that the compiled programs ask for beside their arguments and
    results; measured, how often they evaluate the field, rejected steps included. A field that
    reads neither the time nor the state is not evaluated in steps, and counts 0. An evaluation that
    also gives products with its Jacobian, and one of all members of a batch, count once.

    Args:
        field: as in `ode.solve`, as are the others.
        problem: what is solved.
        args: what the field gets.
        method: how, with the adjoint that is asked about.

    Returns:
        `adjoint`, the name of the one that runs; `memory` and `solve_memory` in bytes, of the
        gradient and of the solve alone; `evaluations` and `solve_evaluations`.

    Example:
        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> problem = ode.Problem(jnp.ones(2, jnp.float32), tspan=(0.0, 1.0))
        >>> rate = jnp.float32(1.0)
        >>> cost = ode.adjoint_cost(lambda t, u, rate: -rate * u, problem, rate)
        >>> cost.adjoint.value, cost.memory > cost.solve_memory
        ('DiscreteAdjoint', True)
        >>> cost.evaluations > cost.solve_evaluations
        True
    """
    counted = Counted(field)
    names: list[Any] = []

    def loss(field: Callable[..., PyTree]) -> Callable[..., jax.Array]:
        def total(u0: PyTree, args: PyTree) -> jax.Array:
            solution = solve(field, problem.with_state(u0), args, method=method)
            names[:] = [solution.stats.adjoint]
            sums = [jnp.sum(leaf.real) for leaf in jax.tree.leaves(solution.ys)]
            return jnp.sum(jnp.stack(sums))

        return total

    def gradient(field: Callable[..., PyTree]) -> Callable[..., Any]:
        return lambda u0, args: jax.vjp(loss(field), u0, args)[1](jnp.ones((), _real(u0)))

    found = {}
    for name, made in (("solve_", loss), ("", gradient)):
        found[f"{name}memory"] = _memory(jax.jit(made(field)), problem.u0, args)
        found[f"{name}evaluations"] = counted.of(jax.jit(made(counted)), problem.u0, args)
    return Record({"adjoint": Static(names[0].value)} | found)


def _memory(program: Any, *arguments: PyTree) -> int:
    return int(program.lower(*arguments).compile().memory_analysis().temp_size_in_bytes)


def _real(u0: PyTree) -> Any:
    return jnp.finfo(jax.tree.leaves(u0)[0].dtype).dtype
