"""The states of models inside a solve: what happens to one that an evaluation changes."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import jax
from jax.core import Tracer
from jaxtyping import PyTree

from ...core import LayerLike, Parameters, Record, StateChangedError, States, apply
from ...core.internal import states_at, subject
from ...programs import ClosedJaxpr, variables
from ._solvable import Solvable

POLICIES = "refuse", "frozen", "once"

# By the path of a model in the states, its states after the calls so far; None where they are
# dropped.
_states_so_far: ContextVar[dict[tuple[str, ...], Any] | None] = ContextVar(
    "states_so_far", default=None
)


def in_field(
    model: LayerLike, ps: Parameters, st: States, path: tuple[str, ...] = ()
) -> Callable[[Any], Any]:
    """`model` as a function of its input alone, for use in a vector field.

    Each evaluation of the field begins with the states `st`: a solver evaluates it at rejected
    steps too, and in its own order, so that a state that went from one evaluation to the next would
    depend on the method.

    Args:
        model: the layer.
        ps: its parameters.
        st: its states.
        path: where these are in the states of the differential equation.
    """

    def call(x: PyTree) -> Any:
        so_far = _states_so_far.get()
        if so_far is None:
            return apply(model, x, ps, st)[0]
        y, so_far[path] = apply(model, x, ps, so_far.get(path, st))
        return y

    return call


@contextlib.contextmanager
def collected() -> Iterator[Callable[[States], Any]]:
    """Within it, what the models of a field do to their states is collected.

    Yields a function from the states before an evaluation to those after it.
    """
    so_far: dict[tuple[str, ...], Any] = {}
    token = _states_so_far.set(so_far)
    try:
        yield lambda st: _with_parts(st, so_far)
    finally:
        _states_so_far.reset(token)


def check_policy_allows(
    layer: Solvable, program: ClosedJaxpr, st: States, places: Sequence[int]
) -> None:
    """Raise if a state changes that must not, or cannot.

    Args:
        layer: whose `state_policy` it is.
        program: of its field, as for `changed_states`.
        st: the states.
        places: which of them change.

    Raises:
        StateChangedError: names the first of them, and what one may choose.
    """
    if not places:
        return
    changes = states_at(st, places)
    if layer.state_policy == "refuse":
        raise StateChangedError(
            f"{subject(layer)}: its vector field changes {changes} at each evaluation, and a "
            "solver makes many, in an order of its own. Use `testmode(st)`, or build the layer "
            'with state_policy="once" (each solve updates the states by the evaluation at t0) or '
            '"frozen" (they stay as they are).'
        )
    if _is_from_inside(program, len(jax.tree.leaves(st)), places):
        raise StateChangedError(
            f'{subject(layer)} has state_policy="{layer.state_policy}", but its vector field '
            f"changes {changes} inside `jax.vmap`, `jax.grad` or a loop, where there is not one "
            'new value. Call the model outside of it, or take state_policy="frozen".'
        )


def _is_from_inside(program: ClosedJaxpr, count: int, places: Sequence[int]) -> bool:
    """Whether a new state is a value of a trace inside that of `program`, which has ended."""
    constants = dict(zip(program.jaxpr.constvars, program.consts, strict=True))
    after = program.jaxpr.outvars[-count:]
    new = variables([after[index] for index in places])
    return any(isinstance(constants.get(variable), Tracer) for variable in new)


def with_updates(st: States, updates: Mapping[int, jax.Array]) -> Any:
    """`st`, with other leaves at the numbers in `updates`; itself without any."""
    if not updates:
        return st
    leaves, treedef = jax.tree.flatten(st)
    return treedef.unflatten([updates.get(index, leaf) for index, leaf in enumerate(leaves)])


def _with_parts(st: States, parts: dict[tuple[str, ...], Any]) -> Any:
    for path, part in parts.items():
        st = _with_part(st, path, part)
    return st


def _with_part(st: States, path: tuple[str, ...], part: PyTree) -> Any:
    if not path:
        return part
    return st | Record({path[0]: _with_part(st[path[0]], path[1:], part)})
