"""solve_ensemble: many initial-value problems of one function, each with its own steps."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core.internal import check_integer, named_leaves, path_name
from ...precision.internal import own_memory
from ..method._method import Method
from ..problem._as_array import as_array
from ..problem._problem import Problem
from ..solution._solution import Solution
from ._function import check_args, solve_function

_NAME = "ode.solve_ensemble"


def solve_ensemble(
    field: Callable[..., PyTree],
    problem: Problem,
    args: PyTree = None,
    *,
    args_axes: PyTree = 0,
    method: Method = Method(),  # noqa: B008
    running_cost: Callable[..., PyTree] | None = None,
) -> Solution:
    """`ode.solve` for each of many trajectories, with a leading axis of them in all results.

    Each has the steps that it would have by itself. Fields of few operations are evaluated by
    components, several times as fast as by `jax.vmap`: `stats.engine` is then "lean-components",
    and else `stats.why_not_components` says why not.

    Under `jit` the results of one that fails are NaN, and so are derivatives by its own state and
    arguments and by what it shares with others, also of a loss that leaves it out.

    Args:
        field: the right-hand side of one trajectory, `field(t, u, args) -> du/dt`, as in
            `ode.solve`.
        problem: its state has a leading axis of trajectories. The times, the mask, the first step
            and the signals of its inputs have one too, or all trajectories share them: each of
            these by itself.
        args: what the field gets, a tree of arrays.
        args_axes: the axis of trajectories of each array in `args`, as `in_axes` of `jax.vmap`:
            None for those that all trajectories share.
        method: how they are solved.
        running_cost: as in `ode.solve`, of one trajectory.

    Returns:
        The solution: its `ys` are (trajectories, times, ...), and the rest of it has as many.

    Raises:
        TypeError: as in `ode.solve`; an axis that is not an integer.
        ValueError: as in `ode.solve`; arrays with different numbers of trajectories.
        RuntimeError: a solve failed; the message names the first of those that did.

    Example:
        Three rates of decay:

        >>> import jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> rates = jnp.asarray([0.5, 1.0, 2.0], jnp.float32)
        >>> problem = ode.Problem(jnp.ones((3, 1), jnp.float32), tspan=(0.0, 1.0))
        >>> found = ode.solve_ensemble(lambda t, u, rate: -rate * u, problem, rates)
        >>> found.ys.shape, found.stats.engine
        ((3, 1, 1), Static('lean-components'))
        >>> [round(u, 4) for u in found.ys[:, 0, 0].tolist()]  # exp(-rate)
        [0.6065, 0.3679, 0.1353]
    """
    if not isinstance(problem, Problem):  # Before its state is looked at.
        return solve_function(_NAME, field, problem, args, method, running_cost)
    check_args(_NAME, args)
    problem = own_memory(problem)
    args = jax.tree.map(as_array, own_memory(args))
    number = _number(problem.u0)
    args, axes = _leading(args, args_axes, number)
    problem = _with_times_of_each(problem, number)
    return solve_function(_NAME, field, problem, args, method, running_cost, axes=axes)


def _number(u0: PyTree) -> int:
    """The number of trajectories.

    Raises:
        ValueError: a leaf of the state has no axis, or another number of them than the first.
    """
    number = None
    for path, leaf in named_leaves(u0).items():
        where = f"u0.{path}" if path else "u0"
        if jnp.ndim(leaf) == 0:
            raise ValueError(
                f"`{_NAME}` expects a leading axis of trajectories in `{where}`, got a scalar. "
                "Stack the initial states."
            )
        number = leaf.shape[0] if number is None else number
        if leaf.shape[0] != number:
            raise ValueError(
                f"`{_NAME}` expects {number} trajectories in `{where}`, got {leaf.shape[0]}."
            )
    if number is None:
        raise ValueError(f"`{_NAME}` expects `u0` to have at least one array, got {u0!r}.")
    return number


def _leading(args: PyTree, axes: PyTree, number: int) -> tuple[PyTree, tuple[int | None, ...]]:
    """The arguments with trajectories first where they have any, and of each leaf 0 or None.

    Raises:
        TypeError: an axis is neither an integer nor None.
        ValueError: the axes do not fit the arguments, or one has another number of trajectories.
    """
    tree = jax.tree.structure(args)
    try:
        spread = jax.tree.leaves(
            jax.tree.map(_repeated, axes, args, is_leaf=_is_none), is_leaf=_is_none
        )
    except ValueError as error:
        raise ValueError(
            f"`{_NAME}` expects `args_axes` to be an axis, None, or a tree of them along `args`, "
            f"got {axes!r}. {error}"
        ) from None
    found: list[Any] = []
    for (path, leaf), axis in zip(jax.tree.leaves_with_path(args), spread, strict=True):
        where = f"args.{path_name(path)}" if path else "args"
        if axis is None:
            found.append(leaf)
            continue
        check_integer(_NAME, "args_axes", axis, remedy="Or give None, for what all share.")
        if not -leaf.ndim <= axis < leaf.ndim or leaf.shape[axis] != number:
            raise ValueError(
                f"`{_NAME}` expects axis {axis} of `{where}` to be one of {number} trajectories, "
                f"got the shape {leaf.shape}. Say by `args_axes` which arguments all share."
            )
        found.append(jnp.moveaxis(leaf, axis, 0))
    return tree.unflatten(found), tuple(None if axis is None else 0 for axis in spread)


def _is_none(value: object) -> bool:
    return value is None


def _repeated(axis: int | None, tree: PyTree) -> list[int | None]:
    """The axis of each leaf."""
    return [axis] * len(jax.tree.leaves(tree))


def _with_times_of_each(problem: Problem, number: int) -> Problem:
    """The problem with the times of each trajectory, those that all share repeated."""

    def of_each(x: Any, axes: int) -> Any:
        shared = jnp.ndim(x) <= axes
        return jnp.broadcast_to(x, (number, *jnp.shape(x))) if shared else x

    axes = {"ts": 1, "mask": 1, "tspan": 0, "first_step": 0}  # Of one trajectory.
    parts = {
        name: jax.tree.map(functools.partial(of_each, axes=count), getattr(problem, name))
        for name, count in axes.items()
    }
    return Problem(problem.u0, inputs=problem.inputs, mass_matrix=problem.mass_matrix, **parts)
