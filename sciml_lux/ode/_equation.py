"""The equation of a solve: a layer's vector field as a function of arrays alone."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.core import eval_jaxpr
from jax.tree_util import Partial

from ..core.internal import describe, named_leaves, subject
from ..precision import shared
from ..programs import with_constants_as_arguments

VectorField = Callable[[Any, Any], Any]


class Equation(NamedTuple):
    """du/dt = field(t, u, parameters).

    Attributes:
        field: the right-hand side; a tree, whose leaves are the arrays that the layer's vector
            field closes over.
        parameters: parameters and states of the layer, half precision in the dtype of its sums.
    """

    field: Callable[[Any, Any, Any], Any]
    parameters: Any


def equation_of(layer: Any, t0: jax.Array, u0: Any, ps: Any, st: Any) -> Equation:
    """The equation that `layer` states with its `vector_field`, for times and states like these.

    Raises:
        TypeError: du/dt has another dtype than u.
        ValueError: du/dt has another tree or shape than u.
    """
    parameters, narrowed = shared((ps, st))

    # Parameters go in as an argument: an adjoint with a rule of its own must see them.
    def field(t: Any, u: Any, parameters: Any) -> Any:
        return layer.vector_field(*narrowed(parameters))(t, u)

    converted = _closing_over_nothing(field, t0, u0, parameters)
    _check_field(layer, jax.eval_shape(converted, t0, u0, parameters), u0)
    return Equation(converted, parameters)


def _closing_over_nothing(f: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """`f` for arguments like `args`, as a tree whose leaves are the arrays that it closes over.

    An engine compiles for a function and keeps it, with all that it closes over. What is an operand
    instead has derivatives in every adjoint, and is freed when the user drops it.
    """
    program, out = jax.make_jaxpr(f, return_shape=True)(*args)
    jaxpr, treedef = with_constants_as_arguments(program), jax.tree.structure(out)

    def evaluated(constants: Any, *args: Any) -> Any:
        return treedef.unflatten(eval_jaxpr(jaxpr, (), *constants, *jax.tree.leaves(args)))

    return Partial(evaluated, program.consts)


def _check_field(layer: Any, du: Any, u0: Any) -> None:
    """Raise unless du/dt has the tree, shapes and dtypes of u; engines cast or fail obscurely."""
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
            "parameters and the initial state one dtype, and mind constants in the field."
        )
