"""The contract of a layer: what it must define, and what it may define."""

from typing import Any

from ._types import LayerLike


def is_layer(value: object) -> bool:
    """Whether `value` keeps the contract, by its methods alone; it need not subclass `Layer`.

    What a layer **must** define:

    - `initial_parameters(key, dtype)`: its initial parameters, a tree of arrays.
    - `initial_states(key, dtype)`: its initial states, a tree.
    - `__call__(x, ps, st) -> (y, st)`: the output, and states of the same structure, shapes and
      dtypes as those that came in.

    `Layer` defines the first two for layers without trees of their own and for layers made of other
    layers. They are traced once, for the names: a call refuses entries that are not among them, and
    puts dicts in their order. Where JAX cannot trace them, trees are taken as they are.

    What a layer **may** define; each has a default in `Layer`, or may be left out:

    - `sublayers() -> dict`: its layers by name, nested in dicts and tuples like their trees; a
      layer that hides its layers returns `{}`.
    - `with_sublayers(children)`: the same layer with other layers in their place.
    - `wrapped`: the inner layer of a layer that has the same trees; messages use one name for both.
    - `inner_trees(ps, st)` and `outer_states(st, inner)`: the trees that a `WrapperLayer` passes to
      its inner layer, and its states after the call, from the inner ones.
    - `initial_carry(x, ps, st) -> (carry, st)`: the initial carry of a recurrent cell.
    - `takes_indices`: True if integers in the input are indices and keep their dtype.
    - `leaves_floats_inside`: True if the dtype of floats in the input is left to the inner layer.
    - `may_be_a_part`: True if a part of a model may be given the trees of the whole model; the
      entries of its siblings are then ignored.
    - `has_summary_row`: True for a row in `summary` in addition to those of the children.
    - `display_name`: its name in messages and tables, in place of the type's name.
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


def check_layer(owner: str, name: str, value: object, example: str) -> None:
    """Raise unless `value` is a layer.

    Args:
        owner: the layer, function or class that has the option, for the message.
        name: the name of the option.
        value: what was given.
        example: an example of a layer, as one would type it.

    Raises:
        TypeError: it lacks `initial_parameters`, `initial_states` or `__call__`.

    Example:
        >>> check_layer("NeuralODE", "model", 3, "nn.Dense(2, 2)")
        Traceback (most recent call last):
        ...
        TypeError: `NeuralODE` expects `model` to be a layer such as nn.Dense(2, 2), got 3.
    """
    if not is_layer(value):
        raise TypeError(
            f"`{owner}` expects `{name}` to be a layer such as {example}, got {value!r}."
        )


def layer_name(layer: LayerLike) -> str:
    """The name of a layer in messages and tables: its `display_name`, or the name of its type.

    Example:
        >>> from sciml_lux import nn
        >>> layer_name(nn.Dense(2, 3))
        'Dense'
    """
    return getattr(layer, "display_name", None) or type(layer).__name__


def sublayers_of(layer: LayerLike) -> Any:
    """The children of a layer by name; an empty dict if it does not define `sublayers`.

    Example:
        >>> from sciml_lux import nn
        >>> sublayers_of(nn.Chain(nn.Dense(2, 3))), sublayers_of(nn.Dense(2, 3))
        ({'layer_1': Dense(2, 3)}, {})
    """
    return getattr(layer, "sublayers", dict)()
