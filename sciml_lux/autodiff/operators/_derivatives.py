"""Several derivatives of one function in one evaluation, by name."""

from collections.abc import Iterable, Sequence

from jaxtyping import Array, Float, PyTree

from ...core import Record
from ..points._columns import unit
from ..points._directions import coordinate_indices
from ..points._points import Field, field_of
from ..primitives._types import Differentiable
from ..propagation._taylor import derivatives_along
from ..propagation._words import Word


def derivatives(
    f: Differentiable,
    x: Float[Array, "*batch coordinates"],
    names: Sequence[str],
    *args: PyTree,
    coordinates: str | Sequence[str] = "xyz",
    components: str | Sequence[str] = "u",
    state_policy: str = "refuse",
    check_samples: bool = True,
) -> Record:
    """The values and derivatives of `f` that `names` lists, such as u, ∂u/∂t and ∂²u/∂x².

    All pass through the program of `f` together: u, ∂u/∂t, ∂u/∂x and ∂²u/∂x² take about the work of
    four evaluations. What a name needs, such as ∂u/∂x for ∂²u/∂x², is computed once for all.

    Args:
        f: a function `f(x, *args)` of all points at once, a layer, whose `args` are `ps, st`, or a
            `StatefulLuxLayer`.
        x: the points: coordinates along the last axis, after any batch axes.
        names: a component, such as "u", or a component and coordinates, such as "u_t" and "u_xx".
        *args: what `f` takes after `x`.
        coordinates: the names of the coordinates, one letter each, in the order of the last axis of
            `x`, such as "xt".
        components: the names of the values of `f` at a point, in the order of the last axis of
            f(x), such as "uvp"; one if `f` has one value without an axis.
        state_policy: "refuse" a model that changes its states, or leave them "frozen".
        check_samples: False takes `f` to be a function of each point by itself without reading its
            program.

    Returns:
        A `Record` with an array of the shape of the batch for each name.

    Raises:
        ValueError: a coordinate or component that is not there; another number of components than
            `f` has values; `f` mixes samples.
        TypeError: the points are not real floats; `names` is one name, or a name is not a string; a
            function with a `custom_vjp`.
        StateChangedError: the model changes its states.

    Example:
        >>> import jax.numpy as jnp
        >>> xt = jnp.array([[3.0, 2.0]], jnp.float32)
        >>> f = lambda xt: xt[:, 0] ** 2 * xt[:, 1]
        >>> d = derivatives(f, xt, ["u", "u_t", "u_xx"], coordinates="xt")
        >>> (d.u_t - d.u_xx).tolist()
        [5.0]
    """
    field = field_of(
        "derivatives", f, x, args, state_policy=state_policy, check_samples=check_samples
    )
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(
            f"`derivatives` expects `names` to be a list such as ['u_x'], got {names!r}."
        )
    parts = _components(field, components)
    parsed = {name: _parsed(field, name, parts, coordinates) for name in names}
    found = _evaluated(field, {word for _, word in parsed.values()})

    def entry(component: str, word: Word) -> Array:
        return found[word][..., parts.index(component)] if field.out else found[word]

    return Record({name: entry(*where) for name, where in parsed.items()})


def _components(field: Field, components: str | Sequence[str]) -> list[str]:
    """The names of the values at a point."""
    parts = list(components)
    if not all(isinstance(part, str) for part in parts):
        raise TypeError(
            f'`derivatives` expects `components` to be names, such as "uv", got {components!r}.'
        )
    if len(set(parts)) < len(parts):
        raise ValueError(f"`derivatives` expects `components` to differ, got {components!r}.")
    if field.out not in ([(), (1,)] if len(parts) == 1 else [(len(parts),)]):
        raise ValueError(
            f"`derivatives` expects `f` to have a value for each of the components "
            f"{', '.join(parts)}, got values of shape {field.out}. Pass components=, such as "
            '"uvp", a name for each.'
        )
    return parts


def _parsed(
    field: Field, name: str, parts: list[str], coordinates: str | Sequence[str]
) -> tuple[str, Word]:
    """The component and the coordinates of a name."""
    if not isinstance(name, str):
        raise TypeError(
            f"`derivatives` expects `names` to be strings such as '{parts[0]}_x', got {name!r}."
        )
    if name in parts:
        return name, ()
    component, _, by = name.rpartition("_")
    if component not in parts or not by:
        raise ValueError(
            f"`derivatives` expects `names` such as {parts[0]!r} or '{parts[0]}_x', of the "
            f"components {', '.join(parts)}, got {name!r}. Pass components=, a name for each."
        )
    indices = coordinate_indices("derivatives", by, coordinates, field.x.shape[-1])
    return component, tuple(sorted(indices))


def _evaluated(field: Field, words: set[Word]) -> dict[Word, Array]:
    """The value and the derivatives by each word, in one pass."""
    letters = {letter for word in words for letter in word}
    if not letters:
        return {(): field.function(field.x)}
    directions = {letter: unit(field, letter) for letter in letters}
    return derivatives_along(field.function, field.x, directions, words)
