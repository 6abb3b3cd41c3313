"""solve: an initial-value problem of a function, without a layer."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

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


class _Function:
    """A function as `run` takes a layer; its parameters are the arguments of the function."""

    display_name = "ode.solve"
    state_policy = "frozen"
    tspan = None
    saveat = None
    batch_axis = None

    def __init__(
        self,
        method: Method,
        function: Callable[..., PyTree],
        running_cost: Callable[..., PyTree] | None = None,
        events: tuple[Event | PresetTimes, ...] = (),
        max_events: int = 16,
    ) -> None:
        self.events, self.max_events = events, max_events
        self.method = method
        self.function = function
        self.running_cost = running_cost

    def vector_field(self, ps: Parameters, st: States, inputs: Inputs = None) -> VectorField:
        """`function(t, u, args)`, or with the inputs too."""
        more = () if inputs is None else (inputs,)
        return lambda t, u: self.function(t, u, ps, *more)


def solve(
    field: Callable[..., PyTree],
    problem: Problem,
    args: PyTree = None,
    *,
    method: Method = Method(),  # noqa: B008
    running_cost: Callable[..., PyTree] | None = None,
    events: tuple[Event | PresetTimes, ...] = (),
    max_events: int = 16,
) -> Solution:
    """u with du/dt = field(t, u, args) and u(t0) = u0.

    It is differentiable with respect to `args` and every array of `problem`; by default to any
    order, in forward and reverse mode.

    Outside of `jit` it is compiled as by `jax.jit`, once for a function, a method and each shape:
    what the function closes over is read then, and a function defined anew compiles anew. Pass what
    changes in `args`.

    Args:
        field: the right-hand side, `field(t, u, args) -> du/dt`; `field(t, u, args, inputs)` where
            the problem has inputs, of which `inputs.name(t)` is the one called `name` at t.
        problem: the initial state, with the times at which the state is wanted, or the ends.
        args: what the field gets, a tree of arrays.
        method: how it is solved.
        running_cost: `running_cost(t, u, du, args)`, or with the inputs too, whose integral from t0
            to t1 is `solution.cost`: a number or a tree of arrays. Steps do not depend on it.
        events: what may happen on the way; what did is `solution.events`.
        max_events: how many of them that are not preset may happen before the solve fails. Each has
            room in memory where a derivative is taken.

    Raises:
        TypeError: the state is not floating or has two dtypes, du/dt has another dtype, or `args`
            have a leaf that is not an array.
        ValueError: no times, or times out of order; a state that is not finite; du/dt of another
            shape.
        RuntimeError: the solve failed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import ode
        >>> def decay(t, u, rate):
        ...     return -rate * u
        >>> problem = ode.Problem(jnp.ones(1, jnp.float32), tspan=(0.0, 1.0))
        >>> end = lambda rate: ode.solve(decay, problem, rate).ys[-1, 0]
        >>> rate = jnp.float32(2.0)
        >>> round(float(end(rate)), 5), round(float(jax.hessian(end)(rate)), 4)  # exp(-2) twice
        (0.13534, 0.1353)
    """
    check_function("ode.solve", "field", field)
    if not isinstance(problem, Problem):
        raise TypeError(
            f"`ode.solve` expects a `Problem`, got {type(problem).__name__}. Write "
            "ode.Problem(u0, ts=ts)."
        )
    if not isinstance(method, Method):
        raise TypeError(
            f"`ode.solve` expects `method` to be a `Method`, got {type(method).__name__}. Write "
            "ode.Method(rtol=1e-8)."
        )
    _check_args(args)
    require_exact_floats((problem, args), "`ode.solve`")
    problem, args = own_memory((problem, jax.tree.map(as_array, args)))
    if running_cost is not None:
        check_function("ode.solve", "running_cost", running_cost)
    check_events("ode.solve", events, max_events)
    function = _Function(method, field, running_cost, events, max_events)
    if method.is_traced:
        compiled = jax.jit(functools.partial(solved, function), static_argnums=5)
    else:
        functions, form = parted(events)
        has_cost = running_cost is not None
        functions = [field, *([running_cost] if has_cost else []), *functions]
        key = (method, has_cost, form, max_events)
        compiled = compiled_for(functions, key, _solved_by)
    solution, _ = run(function, problem, args, preset_data(events), compiled)
    return solution


def _check_args(args: PyTree) -> None:
    """Raise unless all leaves are arrays or numbers, as what is compiled takes.

    Raises:
        TypeError: names the first leaf that is neither.
    """
    for path, leaf in jax.tree.leaves_with_path(args):
        if not (hasattr(leaf, "dtype") or isinstance(leaf, bool | int | float | complex)):
            where = f" at `{path_name(path)}`" if path else ""
            raise TypeError(
                f"`ode.solve` expects `args` to be a tree of arrays, got {describe(leaf)}{where}. "
                "Let `field` close over what has other parts, such as a model: the arrays in it "
                "have derivatives all the same."
            )


def _solved_by(
    functions: Sequence[Callable[..., PyTree]], key: tuple[Any, ...], *arguments: PyTree
) -> Any:
    method, has_cost, form, max_events = key
    field, *others = functions
    running_cost = others.pop(0) if has_cost else None
    # The preset times, which take the place of states that a function does not have.
    events = joined(others, form, arguments[2])
    function = _Function(method, field, running_cost, events, max_events)
    return solved(function, *arguments)
