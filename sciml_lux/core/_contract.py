"""The contract of a layer: all that one must define, and all that it may."""

from typing import Any


def is_layer(value: Any) -> bool:
    """Whether `value` keeps the contract, by its methods alone; `Layer` need not be its base.

    What a layer **must** define:

    - `initial_parameters(key, dtype)`: its parameters at the start, a tree of arrays.
    - `initial_states(key, dtype)`: its states at the start, a tree.
    - `__call__(x, ps, st) -> (y, st)`: the output, and states with the structure, shapes and
      dtypes of those that came in.

    `Layer` defines the first two for a layer without trees of its own, or made of other layers.
    They are traced once, for the names: a call refuses entries that are not among them, and takes
    dicts in their order. Where JAX cannot trace them, trees are taken as they are.

    What a layer **may** define; each has a default in `Layer`, or is left out:

    - `sublayers() -> dict`: the layers it is made of by name, nested in dicts and tuples as their
      trees are; a layer that hides what is inside returns `{}`.
    - `with_sublayers(children)`: the same layer with others in their place.
    - `wrapped`: the inner layer of one whose trees are those of that layer; messages then call
      both by one name.
    - `inner_trees(ps, st)` and `outer_states(st, inner)`: what a `WrapperLayer` gives to its inner
      layer, and what it makes of the states that come back.
    - `initial_carry(x, ps, st) -> (carry, st)`: the carry from which a recurrent cell starts.
    - `takes_indices`: True where integers in the input are indices and keep their dtype.
    - `leaves_floats_inside`: True where floats in the input are treated by the layer inside.
    - `may_be_a_part`: True where the trees of the whole model may be given to a part of it, whose
      siblings' entries are then left alone.
    - `has_summary_row`: True for a row in `summary` beside those of the children.
    - `display_name`: the name by which messages and tables call it, in place of the type's.
    - `print_frame()`: what is printed around its children.

    Source: the interface of LuxCore 1.5.

    Example:
        >>> from sciml_lux import nn
        >>> is_layer(nn.Dense(2, 3)), is_layer(nn.Dense), is_layer(nn.tanh)
        (True, False, False)
    """
    return (
        not isinstance(value, type)
        and callable(value)
        and hasattr(value, "initial_parameters")
        and hasattr(value, "initial_states")
    )


def check_layer(owner: str, name: str, value: Any, example: str) -> None:
    """Raise unless `value` is a layer.

    Args:
        owner: what the option is of, for the message.
        name: of the option.
        value: what was given.
        example: a layer that would do, as one would type it.

    Raises:
        TypeError: it lacks `initial_parameters`, `initial_states` or `__call__`.
    """
    if not is_layer(value):
        raise TypeError(
            f"`{owner}` expects `{name}` to be a layer such as {example}, got {value!r}."
        )


def layer_name(layer: Any) -> str:
    """The name by which messages and tables call a layer: its `display_name`, or its type's."""
    return getattr(layer, "display_name", None) or type(layer).__name__


def sublayers_of(layer: Any) -> Any:
    """The children of a layer; none where it does not define `sublayers`."""
    return getattr(layer, "sublayers", dict)()
