"""The equation of a solve: a layer's vector field as a function of arrays alone."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
from jax.core import eval_jaxpr
from jax.tree_util import Partial
from jaxtyping import Array, PyTree

from ..core import LayerLike, Parameters, States
from ..core.internal import describe, named_leaves, subject
from ..precision import shared
from ..programs import ClosedJaxpr, with_constants_as_arguments
from ._solvable import Inputs, Solvable
from ._state_policy import changed, check_policy_allows, collected


class Equation(NamedTuple):
    """du/dt = field(t, u, parameters).

    Attributes:
        field: the right-hand side. It is a tree: its leaves are the arrays that the layer's vector
            field closes over.
        parameters: parameters, states and inputs, half precision in the dtype of its sums.
        updates: the states that an evaluation at t0 changes, by their number; empty unless the
            layer's `state_policy` is "once".
    """

    field: Callable[[Any, PyTree, PyTree], PyTree]
    parameters: PyTree
    updates: Mapping[int, jax.Array] = MappingProxyType({})


def equation_of(
    layer: Solvable, t0: jax.Array, u0: PyTree, ps: Parameters, st: States, inputs: Inputs = None
) -> Equation:
    """The equation that the `vector_field` of `layer` defines, for times and states like these.

    Raises:
        TypeError: du/dt has another dtype than u.
        ValueError: du/dt has another tree or shape than u.
        StateChangedError: an evaluation changes a state, and the layer's policy is to refuse that.
    """
    more = () if inputs is None else (inputs,)
    parameters, narrowed = shared((ps, st, *more))

    # Parameters are an argument, so that an adjoint with its own derivative rule sees them.
    def field(t: Array, u: PyTree, parameters: PyTree) -> Any:
        ps, st, *more = narrowed(parameters)
        if layer.state_policy == "frozen":
            return layer.vector_field(ps, st, *more)(t, u), [], []
        with collected() as states_after:
            du = layer.vector_field(ps, st, *more)(t, u)
            return du, jax.tree.leaves(st), jax.tree.leaves(states_after(st))

    given = (t0, u0, parameters)
    program, (du, _, after) = jax.make_jaxpr(field, return_shape=True)(*given)
    _check_field(layer, du, u0)
    places = changed(program, len(after))
    check_policy_allows(layer, program, st, places)
    of_states = range(len(program.out_avals) - len(after), len(program.out_avals))
    # Without such states the field is not evaluated here.
    values = _function_of(program, [of_states[p] for p in places])(*given) if places else []
    treedef = jax.tree.structure(du)
    derivative = _function_of(program, range(treedef.num_leaves), treedef.unflatten)
    return Equation(derivative, parameters, dict(zip(places, values, strict=True)))


def _function_of(
    program: ClosedJaxpr, results: Sequence[int], form: Callable[[list], PyTree] = list
) -> Callable[..., PyTree]:
    """Some results of `program`, as a tree whose leaves are the arrays that it closes over.

    An engine compiles a function and holds it, with all arrays that it closes over. As leaves these
    have derivatives in every adjoint, and are freed when the user drops them.
    """
    jaxpr = with_constants_as_arguments(program)
    jaxpr = jaxpr.replace(outvars=[jaxpr.outvars[index] for index in results])

    def evaluated(constants: list[Array], *args: PyTree) -> Any:
        return form(eval_jaxpr(jaxpr, (), *constants, *jax.tree.leaves(args)))

    return Partial(evaluated, program.consts)


def _check_field(layer: LayerLike, du: PyTree, u0: PyTree) -> None:
    """Raise unless du/dt has the tree, shapes and dtypes of u, where an engine might cast."""
    if jax.tree.structure(du) != jax.tree.structure(u0):
        raise ValueError(
            f"{subject(layer)}: the vector field must return a tree like the state, expected "
            f"{jax.tree.structure(u0)}, got {jax.tree.structure(du)}."
        )
    returned = named_leaves(du)
    for name, leaf in named_leaves(u0).items():
        if describe(leaf) == describe(returned[name]):
            continue
        where = f" at `{name}`" if name else ""
        error = TypeError if leaf.dtype != returned[name].dtype else ValueError
        raise error(
            f"{subject(layer)}: the vector field must return the shape and dtype of the state"
            f"{where}, expected {describe(leaf)}, got {describe(returned[name])}. Give the "
            "parameters and the initial state one dtype, and look at constants in the field."
        )
