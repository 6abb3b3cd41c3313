"""The states of a model inside a derivative: what happens to one that the model changes."""

from collections.abc import Callable

import jax
from jaxtyping import Array, PyTree

from ...core import StateChangedError, StatefulLuxLayer, apply, is_layer, layer_name
from ...core.internal import changed_states, check_choice, states_at
from ...precision.internal import own_memory, require_exact_floats
from ..primitives._types import ArrayFunction, Differentiable

POLICIES = "refuse", "frozen"


def function_of_x(
    owner: str, f: Differentiable, args: tuple[PyTree, ...], state_policy: str
) -> ArrayFunction:
    """`f(x, *args)` as a function of `x` alone; of a model, its output `y`.

    Args:
        owner: the operator, for messages.
        f: a function, a layer, whose `args` are `ps, st`, or a `StatefulLuxLayer`.
        args: what `f` takes after `x`.
        state_policy: what happens to a state that the model changes: "refuse" or "frozen".

    Raises:
        TypeError: `f` cannot be called, or a model got other arguments.
        ValueError: an unknown policy.
    """
    check_choice(owner, "state_policy", state_policy, POLICIES)
    if (trees := _trees(owner, f, args)) is not None:
        model, ps, st = trees
        return lambda x: apply(model, x, ps, st)[0]
    function: Callable[..., Array] = f
    if not callable(f):
        raise TypeError(f"`{owner}` expects `f` to be a function or a layer, got {f!r}.")
    require_exact_floats(args, f"`{owner}`: `args`")
    own = own_memory(args)
    return lambda x: function(x, *own)


def check_states_stay(
    owner: str, f: Differentiable, x: PyTree, args: tuple[PyTree, ...], state_policy: str
) -> None:
    """Raise if a model changes its states and the policy is "refuse".

    A state changes if the program computes it, though the number be the same.

    Raises:
        StateChangedError: names the first state, and what one may choose.
    """
    trees = _trees(owner, f, args)
    if trees is None or state_policy == "frozen" or not jax.tree.leaves(trees[2]):
        return
    model, ps, st = trees
    leaves, treedef = jax.tree.flatten(st)

    def before_and_after(x: PyTree, leaves: PyTree) -> PyTree:
        new = apply(model, x, ps, treedef.unflatten(leaves))[1]
        return leaves, jax.tree.leaves(new)

    places = changed_states(jax.make_jaxpr(before_and_after)(x, leaves), len(leaves))
    if not places:
        return
    raise StateChangedError(
        f"`{owner}`: `{layer_name(model)}` changes {states_at(st, places)} at each evaluation, "
        "and a derivative makes several, in an order of its own. Use `testmode(st)`, or "
        'state_policy="frozen" (the states stay as they are).'
    )


def _trees(owner: str, f: Differentiable, args: tuple[PyTree, ...]) -> tuple | None:
    """The model, its parameters and states; None for a function."""
    if isinstance(f, StatefulLuxLayer):
        if len(args) > 1 or (not args and f.ps is None):
            raise TypeError(
                f"`{owner}` expects a `StatefulLuxLayer` with its parameters, `f, x` or "
                f"`f, x, ps`, got {len(args)} arguments after `x`"
                f"{' and no stored parameters' if f.ps is None else ''}."
            )
        return f.model, args[0] if args else f.ps, f.st
    if not is_layer(f):
        return None
    if len(args) != 2:
        raise TypeError(
            f"`{owner}` expects the layer `{layer_name(f)}` with its parameters and states, "
            f"`model, x, ps, st`, got {len(args)} arguments after `x`. Make them with "
            "ps, st = setup(key, model)."
        )
    return f, *args
