"""The equation of a solve: a layer's vector field as a function of arrays alone."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr
from jax.tree_util import Partial
from jaxtyping import Array, PyTree

from ...core import LayerLike, Parameters, States
from ...core.internal import changed_states, describe, named_leaves, subject
from ...precision import shared
from ...programs import ClosedJaxpr, with_constants_as_arguments
from ._solvable import Inputs, Solvable
from ._state_policy import check_policy_allows, collected
from ._with_cost import WithCost


class Equation(NamedTuple):
    """du/dt = field(t, u, parameters).

    Attributes:
        field: the right-hand side. It is a tree: its leaves are the arrays that the layer's vector
            field closes over.
        parameters: the leaves of parameters, states and inputs, half precision in the dtype of its
            sums.
        updates: the states that an evaluation at t0 changes, by their number; empty unless the
            layer's `state_policy` is "once".
        cost: where the layer has a running cost, zeros of its form; `field` is then that of a
            `WithCost`. None where it has none.
        mass: the mass matrix M of M du/dt = field(t, u, parameters); None where there is none.
    """

    field: Callable[[Any, PyTree, PyTree], PyTree]
    parameters: list[jax.Array]
    updates: Mapping[int, jax.Array] = MappingProxyType({})
    cost: PyTree = None
    mass: jax.Array | None = None

    def start(self, u0: PyTree) -> Any:
        """What an engine solves from: `u0`, beside the cost if there is one."""
        return u0 if self.cost is None else WithCost(u0, self.cost)


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
            du = layer.vector_field(ps, st, *more)(t, u)
            return du, _rate(layer, t, u, du, ps, more), [], []
        with collected() as states_after:
            du = layer.vector_field(ps, st, *more)(t, u)
            after = jax.tree.leaves(states_after(st))
        return du, _rate(layer, t, u, du, ps, more), jax.tree.leaves(st), after

    given = (t0, u0, parameters)
    program, (du, rate, _, after) = jax.make_jaxpr(field, return_shape=True)(*given)
    _check_field(layer, du, u0)
    places = changed_states(program, len(after))
    check_policy_allows(layer, program, st, places)
    of_states = range(len(program.out_avals) - len(after), len(program.out_avals))
    # Without such states the field is not evaluated here.
    values = function_of(program, [of_states[p] for p in places])(*given) if places else []
    updates = dict(zip(places, values, strict=True))
    # As a list: `BacksolveAdjoint` fails on parameters with an empty tuple inside.
    parameters = jax.tree.leaves(parameters)
    treedef = jax.tree.structure(du if rate is None else WithCost(du, rate))
    derivative = function_of(program, range(treedef.num_leaves), treedef.unflatten)
    if rate is None:
        return Equation(derivative, parameters, updates)
    _check_rate(layer, rate, jax.tree.leaves(u0)[0].dtype)
    cost = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), rate)
    return Equation(Partial(_beside_cost, derivative), parameters, updates, cost)


def _rate(
    layer: Solvable, t: Array, u: PyTree, du: PyTree, ps: Parameters, more: Sequence[PyTree]
) -> Any:
    """The running cost at t; None where the layer has none."""
    if layer.running_cost is None:
        return None
    cost = layer.running_cost(t, u, du, ps, *more)
    return jax.tree.map(lambda leaf: leaf if hasattr(leaf, "dtype") else t * 0 + leaf, cost)


def _beside_cost(field: Callable[..., PyTree], t: Array, state: WithCost, ps: PyTree) -> Any:
    return field(t, state.u, ps)


def function_of(
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
        remedy = " Stack its parts: jnp.stack([...])." if hasattr(u0, "dtype") else ""
        raise ValueError(
            f"{subject(layer)}: the vector field must return a tree like the state, expected "
            f"{jax.tree.structure(u0)}, got {jax.tree.structure(du)}.{remedy}"
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


def _check_rate(layer: LayerLike, rate: PyTree, dtype: np.dtype) -> None:
    """Raise unless a running cost is of arrays in the dtype of the state, or its real part.

    Raises:
        TypeError: names the first leaf that is not.
    """
    allowed = (dtype, jnp.finfo(dtype).dtype)
    for name, leaf in named_leaves(rate).items():
        if leaf.dtype not in allowed:
            where = f" at `{name}`" if name else ""
            raise TypeError(
                f"{subject(layer)}: `running_cost` must return arrays of the dtype of the state"
                f"{where}, expected {allowed[-1].name}, got {describe(leaf)}. Convert it: "
                "cost.astype(u.dtype)."
            )
    if not jax.tree.leaves(rate):
        raise TypeError(f"{subject(layer)}: `running_cost` must return an array, got {rate!r}.")
