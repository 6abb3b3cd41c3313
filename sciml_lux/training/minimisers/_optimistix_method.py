"""The solvers of optimistix for `minimise`, with many steps in one call."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import PyTree

from ...core import Parameters
from ...core.internal import first_difference
from ...io import CheckpointError
from ...precision.internal import floating_leaves, x64_enabled
from ..compilation._compiled import compiled
from ..compilation._structure import Structure
from ..fitting._session import Session
from ..objectives._objective import evaluate
from ..objectives._stats import Stats, check_stats, room_for
from ..state._finite import each_finite
from ..state._train_state import TrainState
from ..steps._ad import AutoReverse
from ..steps._chunk import MAX_CHUNK
from ..steps._step import gradients
from ._outcome import Outcome, finite_or_refuse, with_parameters, without_optimizer

_CHUNK_SECONDS = 0.25

# What a solver goes on from: the arrays of its point, its state, whether it is done, and the loss
# and stats there, which are computed once: a second program may round otherwise.
Point = tuple[jax.Array, ...]


class Chunk(NamedTuple):
    """Steps that were taken in one call.

    Attributes:
        point: after the last of them.
        parameters: at that point.
        losses: (room,), before each step, filled up to `taken`.
        stats: of the objective, each leaf (room, ...).
        taken: the number of finite steps.
        finite: whether the last one led to finite numbers.
        ended: whether the solver is done.
    """

    point: Point
    parameters: Any
    losses: jax.Array
    stats: Any
    taken: jax.Array
    finite: jax.Array
    ended: jax.Array


class OptimistixSteps:
    """Takes the steps of a session by a solver of optimistix.

    Raises:
        TypeError: a least-squares solver without residuals.
    """

    def __init__(self, method: Any, objective: Any, data: PyTree, tstate: TrainState) -> None:
        least_squares = isinstance(method, optimistix.AbstractLeastSquaresSolver)
        if least_squares and not hasattr(objective, "residuals"):
            raise TypeError(
                f"`minimise` with {type(method).__name__} needs the residuals of a sum of squares, "
                f"got {objective!r}. Pass losses.MSELoss() or training.LeastSquares(residuals)."
            )
        self._name = type(method).__name__
        structure, _ = without_optimizer(tstate).flat
        options, treedef = jax.tree.flatten(method)
        # Numbers are part of the program; an array cannot be looked up, so it is an argument.
        numbers = tuple(None if hasattr(o, "dtype") else o for o in options)
        arrays = [o for o in options if hasattr(o, "dtype")]
        self._given = (data, arrays)
        statics = (objective, (numbers, treedef), structure)
        self._solver = [solver_function(part, *statics) for part in ("begin", "take", "finish")]

    def __call__(self, session: Session) -> Outcome:
        """Take the steps, and return how they ended."""
        run = session.run
        begin, take, finish = self._solver
        given = (without_optimizer(run.tstate).flat[1], *self._given)
        point = begin(*given)
        if run.snapshot.method:
            point = _resumed(point, run.snapshot.method)
        else:
            finite_or_refuse(session, float(finish(*given, point)[1]), "at the start")
        chunk, ended = 1, False
        while session.goes_on and not ended:
            started = time.monotonic()
            count = min(session.until_stop(chunk), MAX_CHUNK)
            found = take(*given, point, np.int32(count))
            taken, finite = int(found.taken), bool(found.finite)
            if not finite:
                # The same program with fewer steps gives the same bits, without the last.
                found = take(*given, point, np.int32(taken))
            point, ended = found.point, bool(found.ended)
            self._move(session, found, taken)
            if not finite:
                finite_or_refuse(session, float("nan"), f"after step {run.step}")
            if taken:
                session.between_steps()
            wanted = int(taken * _CHUNK_SECONDS / max(time.monotonic() - started, 1e-6))
            chunk = max(1, min(wanted, 8 * chunk, MAX_CHUNK))
        parameters, last, result = finish(*given, point)
        finite_or_refuse(session, float(last), f"where {self._name} ended")
        tstate = with_parameters(run.tstate, parameters, 0)
        run.snapshot = dataclasses.replace(run.snapshot, tstate=tstate)
        successful = bool(result == optimistix.RESULTS.successful)
        return Outcome(successful, "" if successful else optimistix.RESULTS[result], float(last))

    def _move(self, session: Session, found: Chunk, taken: int) -> None:
        run = session.run
        tstate = with_parameters(run.tstate, found.parameters, taken)
        losses = np.asarray(found.losses, np.float64)[:taken]
        snapshot = run.snapshot.with_steps(tstate, losses, Stats.of(found.stats, taken))
        run.snapshot = dataclasses.replace(snapshot, method=found.point)


def _resumed(fresh: Point, stored: Point) -> Point:
    difference = first_difference(fresh, stored)
    if difference:
        raise CheckpointError(
            f"the checkpoint is of another solver: its arrays differ {difference}. Resume "
            "with the method that the minimisation began with."
        )
    return stored


@compiled
def solver_function(
    part: str, objective: Any, solver: tuple[Any, Any], structure: Structure
) -> Callable[..., Any]:
    """The compiled part of a solver by name: "begin", "take" or "finish"."""
    parts = {"begin": _Problem.begun, "take": _steps, "finish": _Problem.ended}

    def run(leaves: list[jax.Array], data: PyTree, arrays: list[jax.Array], *more: PyTree) -> Any:
        tstate = TrainState.from_flat(structure, leaves)
        # For its checks: a loss or gradient of fewer digits fails in optimistix without a name, and
        # promotion that the user forbids is allowed below.
        jax.eval_shape(lambda: gradients(AutoReverse(), objective, data, tstate)[1])
        # optimistix mixes weak and strong scalars, which strict promotion forbids.
        with jax.numpy_dtype_promotion("standard"):
            return parts[part](_Problem(objective, solver, structure, leaves, data, arrays), *more)

    return run


class _Problem:
    """An objective and a solver, inside a trace."""

    def __init__(
        self,
        objective: Any,
        solver: tuple[Any, Any],
        structure: Structure,
        leaves: list[jax.Array],
        data: PyTree,
        arrays: list[jax.Array],
    ) -> None:
        numbers, treedef = solver
        given = iter(arrays)
        self.method = treedef.unflatten([next(given) if n is None else n for n in numbers])
        self.least_squares = isinstance(self.method, optimistix.AbstractLeastSquaresSolver)
        parameters = TrainState.from_flat(structure, leaves).parameters
        self.start, self.parameters_of = _widened(parameters)
        self._objective, self._structure, self._args = objective, structure, (leaves, data)
        self._begun = jax.tree.flatten(self._init())

    def value(self, values: list[jax.Array]) -> tuple[jax.Array, Any]:
        """Loss and stats."""
        return self._value(values, self._args)

    def _value(self, values: list[jax.Array], args: PyTree) -> tuple[jax.Array, Any]:
        tstate, data = TrainState.from_flat(self._structure, args[0]), args[1]
        ps = self.parameters_of(values)
        loss, _, stats = evaluate(self._objective, tstate.model, ps, tstate.states, data)
        return _wide(loss), stats

    def _function(self, values: list[jax.Array], args: PyTree) -> tuple[Any, None]:
        """What the solver minimises; what is traced comes in `args`, as its state may keep it."""
        if not self.least_squares:
            return self._value(values, args)[0], None
        tstate, data = TrainState.from_flat(self._structure, args[0]), args[1]
        ps = self.parameters_of(values)
        found = self._objective.residuals(tstate.model, ps, tstate.states, data)
        return jax.tree.map(_wide, found), None

    def _init(self) -> Any:
        shapes = jax.eval_shape(lambda: self._function(self.start, self._args)[0])
        state = self.method.init(
            self._function, self.start, self._args, {}, shapes, None, frozenset()
        )
        return (self.start, state, *self._judged(self.start, state), self.value(self.start))

    def _judged(self, values: list[jax.Array], state: PyTree) -> tuple[Any, Any]:
        """Whether the solver is done, and why."""
        return self.method.terminate(self._function, values, self._args, {}, state, frozenset())

    def begun(self) -> Point:
        """The point before the first step."""
        return _arrays(self._begun[0])

    def whole(self, point: Point) -> Any:
        """Values, state, whether the solver is done and why, and loss with stats, of a point."""
        leaves, treedef = self._begun
        arrays = iter(point)
        return treedef.unflatten([next(arrays) if _is_array(leaf) else leaf for leaf in leaves])

    def step(self, point: Point) -> Point:
        """The next point."""
        values, state, *_ = self.whole(point)
        new, state, _ = self.method.step(self._function, values, self._args, {}, state, frozenset())
        return _arrays((new, state, *self._judged(values, state), self.value(new)))

    def is_done(self, point: Point) -> jax.Array:
        """Whether the solver takes no more steps."""
        _, _, done, result, _ = self.whole(point)
        return done | (result != optimistix.RESULTS.successful)

    def ended(self, point: Point) -> tuple[Any, jax.Array, Any]:
        """The parameters that the solver answers with, the loss there, and why it is done."""
        values, state, done, result, _ = self.whole(point)
        results = optimistix.RESULTS
        more = (result == results.successful) & ~done
        result = results.where(more, results.nonlinear_max_steps_reached, result)
        values, _, _ = self.method.postprocess(
            self._function, values, None, self._args, {}, state, frozenset(), result
        )
        return self.parameters_of(values), self.value(values)[0], result


def _steps(problem: _Problem, point: Point, count: jax.Array) -> Chunk:
    loss, stats = jax.eval_shape(problem.value, problem.start)
    check_stats(stats)
    room = room_for(stats, MAX_CHUNK)
    buffers = jax.tree.map(lambda leaf: jnp.zeros((room, *leaf.shape), leaf.dtype), stats)
    zero, true = jnp.zeros((), jnp.int32), jnp.ones((), bool)
    start = (point, jnp.zeros(room, loss.dtype), buffers, zero, true)

    def goes_on(carry: PyTree) -> jax.Array:
        point, _, _, taken, finite = carry
        return (taken < jnp.minimum(count, room)) & finite & ~problem.is_done(point)

    def body(carry: PyTree) -> Any:
        point, losses, buffers, taken, _ = carry
        loss, stats = problem.whole(point)[-1]
        new = problem.step(point)
        values, *_, (now, _) = problem.whole(new)
        finite = jnp.all(each_finite([now, *values]))
        buffers = jax.tree.map(lambda all_, one: all_.at[taken].set(one), buffers, stats)
        losses = losses.at[taken].set(loss)
        return new, losses, buffers, taken + finite.astype(jnp.int32), finite

    point, losses, buffers, taken, finite = jax.lax.while_loop(goes_on, body, start)
    parameters = problem.parameters_of(problem.whole(point)[0])
    return Chunk(point, parameters, losses, buffers, taken, finite, problem.is_done(point))


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def _arrays(tree: PyTree) -> Point:
    """The arrays of a tree, without weak types, which a loop could not carry."""
    found = [leaf for leaf in jax.tree.leaves(tree) if _is_array(leaf)]
    return tuple(jnp.asarray(leaf, leaf.dtype) for leaf in found)


def _widened(parameters: Parameters) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The floats of `parameters` in the widest dtype there is, and the way back.

    The scalars of optimistix are of that dtype, and do not mix with narrower ones.
    """
    leaves, rebuild = floating_leaves(parameters)

    def parameters_of(values: list[jax.Array]) -> Any:
        narrow = [v.astype(leaf.dtype) for v, leaf in zip(values, leaves, strict=True)]
        return rebuild(narrow)

    return [_wide(leaf) for leaf in leaves], parameters_of


def _wide(x: jax.Array) -> jax.Array:
    real, complex_ = ("float64", "complex128") if x64_enabled() else ("float32", "complex64")
    return x.astype(complex_ if jnp.iscomplexobj(x) else real)
