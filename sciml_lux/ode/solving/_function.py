"""Solves of a function, without a layer."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from ...core import Parameters, States
from ...core.internal import check_function, describe, path_name
from ...precision.internal import own_memory, require_exact_floats
from ..equation._solvable import Inputs, VectorField
from ..events._event import Event, PresetTimes, check_events
from ..events._parted import joined, parted, preset_data
from ..method._method import Method
from ..problem._as_array import as_array
from ..problem._problem import Problem
from ..solution._solution import Solution
from ._compiled import compiled_for
from ._run import run, solved


class _Caller(NamedTuple):
    """What a program depends on beside the functions.

    Attributes:
        name: of the public function, for messages.
        method: how it is solved.
        axes: of each argument 0 where trajectories have their own, else None; None if they share
            all.
        max_events: how many may happen.
    """

    name: str
    method: Method
    axes: tuple[int | None, ...] | None
    max_events: int


class _Function:
    """A function as `run` takes a layer; its parameters are the arguments of the function."""

    state_policy = "frozen"
    tspan = None
    saveat = None
    batch_axis = None

    def __init__(
        self,
        caller: _Caller,
        function: Callable[..., PyTree],
        running_cost: Callable[..., PyTree] | None = None,
        events: tuple[Event | PresetTimes, ...] = (),
    ) -> None:
        self.events, self.max_events = events, caller.max_events
        self.display_name = caller.name
        self.method = caller.method
        self.parameters_axes = caller.axes
        self.function = function
        self.running_cost = running_cost

    def vector_field(self, ps: Parameters, st: States, inputs: Inputs = None) -> VectorField:
        """`function(t, u, args)`, or with the inputs too."""
        more = () if inputs is None else (inputs,)
        return lambda t, u: self.function(t, u, ps, *more)


def solve_function(
    name: str,
    field: Callable[..., PyTree],
    problem: Problem,
    args: PyTree,
    method: Method,
    running_cost: Callable[..., PyTree] | None,
    events: tuple[Event | PresetTimes, ...] = (),
    max_events: int = 16,
    axes: tuple[int | None, ...] | None = None,
) -> Solution:
    """The solution of `problem` with `field`, for a public function of this name."""
    check_function(name, "field", field)
    if not isinstance(problem, Problem):
        raise TypeError(
            f"`{name}` expects a `Problem`, got {type(problem).__name__}. Write "
            "ode.Problem(u0, ts=ts)."
        )
    if not isinstance(method, Method):
        raise TypeError(
            f"`{name}` expects `method` to be a `Method`, got {type(method).__name__}. Write "
            "ode.Method(rtol=1e-8)."
        )
    check_args(name, args)
    require_exact_floats((problem, args), f"`{name}`")
    problem, args = own_memory((problem, jax.tree.map(as_array, args)))
    if running_cost is not None:
        check_function(name, "running_cost", running_cost)
    check_events(name, events, max_events)
    caller = _Caller(name, method, axes, max_events)
    function = _Function(caller, field, running_cost, events)
    if method.is_traced:
        compiled = jax.jit(functools.partial(solved, function), static_argnums=5)
    else:
        functions, form = parted(events)
        has_cost = running_cost is not None
        functions = [field, *([running_cost] if has_cost else []), *functions]
        compiled = compiled_for(functions, (caller, has_cost, form), _solved_by)
    solution, _ = run(function, problem, args, preset_data(events), compiled)
    return solution


def check_args(name: str, args: PyTree) -> None:
    """Raise unless all leaves are arrays or numbers, as what is compiled takes.

    Raises:
        TypeError: names the first leaf that is neither.
    """
    for path, leaf in jax.tree.leaves_with_path(args):
        if not (hasattr(leaf, "dtype") or isinstance(leaf, bool | int | float | complex)):
            where = f" at `{path_name(path)}`" if path else ""
            raise TypeError(
                f"`{name}` expects `args` to be a tree of arrays, got {describe(leaf)}{where}. "
                "Let `field` close over what has other parts, such as a model: the arrays in it "
                "have derivatives all the same."
            )


def _solved_by(
    functions: Sequence[Callable[..., PyTree]], key: tuple[Any, ...], *arguments: PyTree
) -> Any:
    caller, has_cost, form = key
    field, *others = functions
    running_cost = others.pop(0) if has_cost else None
    # The preset times, which take the place of states that a function does not have.
    events = joined(others, form, arguments[2])
    return solved(_Function(caller, field, running_cost, events), *arguments)
