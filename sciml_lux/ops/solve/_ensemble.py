"""solve_ensemble: many trajectories of one equation, each with its own steps, by components."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._primitive import program_of
from ..by_components import by_components, why_not_by_components
from ._dynamic_scan import dynamic_scan
from ._solve import Solved, solve

CHUNK = 64
"""Trajectories that a CPU solves together: their states stay in its nearest cache."""

MOST_COMPUTED = 512
"""Operations of the field times components: XLA's loop of each component repeats the others."""

Field = Callable[[jax.Array, PyTree, PyTree], PyTree]


def solve_ensemble(
    field: Field,
    t0: jax.Array,
    t1: jax.Array,
    y0: PyTree,
    args: PyTree = None,
    *,
    args_axes: PyTree = 0,
    chunk: int | None = None,
    rtol: PyTree = 1e-6,
    atol: PyTree = 1e-6,
    **options: Any,
) -> tuple[Solved, str]:
    """`jax.vmap(solve)` over the first axis of `y0`, with one vector for each component.

    Every trajectory has the steps that it would have by itself. On a CPU they are solved in chunks,
    one after the other, and once more for their derivatives, so that one record at a time is in
    memory.

    Args:
        field: the right-hand side of one trajectory.
        t0: start, of all trajectories.
        t1: end, of all trajectories.
        y0: the states at t0, with a leading axis of trajectories.
        args: what the field gets.
        args_axes: as `in_axes` of `jax.vmap`: the axis of trajectories of `args`.
        chunk: the number of trajectories to solve together; None for `CHUNK` on a CPU, else all.
        rtol: as in `solve`, of one trajectory.
        atol: as in `solve`, of one trajectory.
        options: others of `solve`; not `dense` nor `estimates`.

    Returns:
        What `jax.vmap(solve)` returns, and why it was not solved by components; empty if it was.
    """
    leaves, tree = jax.tree.flatten(args)
    spread = jax.tree.map(_repeated, args_axes, args, is_leaf=_is_none)
    axes = jax.tree.leaves(spread, is_leaf=_is_none)
    apart = [leaf for leaf, axis in zip(leaves, axes, strict=True) if axis is not None]
    apart = [jnp.moveaxis(x, a, 0) for x, a in zip(apart, filter(_is_axis, axes), strict=True)]
    shared = [leaf for leaf, axis in zip(leaves, axes, strict=True) if axis is None]

    def whole(apart: Sequence[jax.Array], shared: Sequence[jax.Array]) -> PyTree:
        some, rest = iter(apart), iter(shared)
        return tree.unflatten([next(rest) if axis is None else next(some) for axis in axes])

    def own(t: jax.Array, y: PyTree, arguments: tuple[Any, Any]) -> PyTree:
        return field(t, y, whole(*arguments))

    def first(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree)

    tolerances = {"rtol": rtol, "atol": atol}
    form = _form(own, t0, first(y0), (first(apart), shared))
    reason = form if isinstance(form, str) else ""

    def one(y: PyTree, apart: Sequence[jax.Array]) -> Solved:
        if isinstance(form, str):
            return solve(own, t0, t1, y, (apart, shared), **tolerances, **options)
        return _one(form, t0, t1, y, (apart, shared), tolerances, options)

    return _in_chunks(one, (y0, apart), chunk), reason


def _is_none(value: object) -> bool:
    return value is None


def _repeated(axis: int | None, tree: PyTree) -> list[int | None]:
    """The axis of each leaf."""
    return [axis] * len(jax.tree.leaves(tree))


def _is_axis(axis: int | None) -> bool:
    return axis is not None


class _Form:
    """A field of one trajectory, as a function of components.

    Args:
        function: of the components of what it closes over, the time, the state and the arguments.
        closed_over: those arrays.
    """

    def __init__(self, function: Callable[..., list[Any]], closed_over: list[jax.Array]) -> None:
        self.function = function
        self.closed_over = closed_over

    def __call__(self, t: jax.Array, y: list[jax.Array], args: Any) -> list[jax.Array]:
        """du/dt of each component."""
        closed_over, arguments = args
        found = self.function(*closed_over, t, *y, *arguments)
        return [jnp.asarray(k, u.dtype) for k, u in zip(found, y, strict=True)]


def _form(field: Field, t0: jax.Array, y0: PyTree, args: PyTree) -> "_Form | str":
    """The form by components, or why there is none."""
    types, tree = jax.tree.flatten((t0, y0, args))
    program, closed_over = program_of(
        lambda *leaves: jax.tree.leaves(field(*tree.unflatten(leaves))), types
    )
    components = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(y0))
    most = MOST_COMPUTED // max(components, 1)
    return why_not_by_components(program, most) or _Form(by_components(program), closed_over)


def _one(
    form: _Form,
    t0: jax.Array,
    t1: jax.Array,
    y0: PyTree,
    args: PyTree,
    tolerances: dict[str, PyTree],
    options: dict[str, Any],
) -> Solved:
    """The solve of one trajectory, whose leaves are its components."""
    leaves, tree = jax.tree.flatten(y0)
    shapes = [leaf.shape for leaf in leaves]
    split = {name: _tolerance(value, y0) for name, value in tolerances.items()}
    found = solve(
        form,
        t0,
        t1,
        _components(leaves),
        (_components(form.closed_over), _components(jax.tree.leaves(args))),
        by_components=True,
        **split,
        **options,
    )

    def joined(parts: list[jax.Array] | None) -> PyTree:
        if parts is None:
            return None
        rest = iter(parts)
        return tree.unflatten(
            [_array([next(rest) for _ in range(math.prod(s))], s) for s in shapes]
        )

    return found._replace(y1=joined(found.y1), ys=joined(found.ys), y=joined(found.y))


def _components(leaves: Sequence[jax.Array]) -> list[jax.Array]:
    flat = [jnp.reshape(leaf, -1) for leaf in leaves]
    return [line[i] for line in flat for i in range(line.size)]


def _array(parts: Sequence[jax.Array], shape: tuple[int, ...]) -> jax.Array:
    """An array of components, which may have axes before them: those of wanted times."""
    stacked = jnp.stack(parts, axis=-1)
    return stacked.reshape(*stacked.shape[:-1], *shape)


def _tolerance(value: PyTree, y0: PyTree) -> list[Any]:
    """The tolerance of each component."""
    spread = jax.tree.leaves(jax.tree.broadcast(value, y0, _is_none), is_leaf=_is_none)
    found = []
    for tolerance, y in zip(spread, jax.tree.leaves(y0), strict=True):
        if tolerance is None:
            found += [None] * y.size
        else:
            found += list(np.broadcast_to(tolerance, y.shape).flat)
    return found


def _in_chunks(one: Callable[..., Solved], given: PyTree, chunk: int | None) -> Solved:
    """`jax.vmap(one)`, on a CPU a chunk at a time."""
    number = len(jax.tree.leaves(given)[0])
    if chunk is None:
        chunk = CHUNK if jax.default_backend() == "cpu" else max(number, 1)
    count = -(-number // chunk)
    if count <= 1:
        return jax.vmap(one)(*given)
    chunk = -(-number // count)
    # The last are solved again where a chunk is not full: what is not read has no cotangent.
    order = np.minimum(np.arange(count * chunk), number - 1).reshape(count, chunk)

    def part(_: PyTree, given: PyTree, nothing: PyTree) -> tuple[PyTree, Solved]:
        return nothing, jax.vmap(one)(*given)

    # Not `jax.lax.map`, inside which JAX loses the rule of second derivatives of a solve.
    rows = jax.tree.map(lambda x: x[order], given)
    _, found = dynamic_scan(part, jnp.int32(count), (), rows, (), length=count)
    return jax.tree.map(lambda x: x.reshape(count * chunk, *x.shape[2:])[:number], found)
