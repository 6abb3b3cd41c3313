"""TiedLayer, tie and share_parameters: one parameter in several places."""

import functools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from ...core import Key, LayerLike, Parameters, States, WrapperLayer, parameter_structure
from ...core.internal import describe, first_difference
from ...precision import shared
from ...precision.internal import own_memory
from ._entries import (
    Path,
    as_paths,
    check_path,
    dotted,
    entry,
    has_entry,
    ordered,
    records,
    starts_with,
    with_entry,
    without,
)

Groups = Iterable[Sequence[str]]


class TiedLayer(WrapperLayer):
    """y = layer(x), where the parameters of each group are one and the same.

    A shared parameter is stored once, at the first place of its group, and copied to the other
    places when the layer is called: its gradients add up, and the optimiser has one copy.

    Args:
        layer: a layer.
        groups: tuples of dotted paths, such as ("encoder.weight", "decoder.weight"); with ".T"
            behind it, as in "decoder.weight.T", a matrix is the transpose of the others.

    Parameters: those of the layer, but only the first place of each group.

    States: exactly those of the layer.

    Raises:
        KeyError: there is no such parameter; the message lists those that exist.
        ValueError: a group of fewer than two, groups that overlap, parameters of different
            structure, shape or dtype, or ".T" of what is not a matrix.

    Source: requested in Lux's issues 182 and 420; `Experimental.share_parameters` of Lux does not
        tie gradients.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.TiedLayer(nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2)),
        ...                      (("layer_1.weight", "layer_2.weight"),))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> list(ps.layer_1), list(ps.layer_2), list(model.expand(ps).layer_2)
        (['weight', 'bias'], ['bias'], ['weight', 'bias'])
    """

    layer: LayerLike
    groups: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Store the groups as tuples, and check that their parameters can be shared."""
        groups = _checked("`TiedLayer`", parameter_structure(self.layer), self.groups)
        object.__setattr__(self, "groups", tuple(tuple(map(str, group)) for group in groups))

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The layer's parameters, with those of each group once."""
        return self.contract(self.layer.initial_parameters(key, dtype))

    def inner_trees(self, ps: Parameters, st: States) -> tuple[Parameters, States]:
        """The parameters with that of each group at all its places."""
        return self._spread(ps), st

    def contract(self, ps: Parameters) -> Parameters:
        """The layer's parameters with only the first place of each group."""
        places = _places(self.layer, self.groups)
        return without(records(ps), [place.path for _, *rest in places for place in rest])

    def expand(self, ps: Parameters) -> Parameters:
        """The inner layer's parameters, in their own order; the inverse of `contract`."""
        return ordered(self._spread(ps), parameter_structure(self.layer))

    def _spread(self, ps: Parameters) -> Parameters:
        ps = records(ps)
        for first, *rest in _places(self.layer, self.groups):
            wide, narrowed = shared(entry(ps, first.path))
            for place in (first, *rest):
                ps = with_entry(ps, place.path, place.seen_from(first, narrowed(wide)))
        return ps


def tie(layer: LayerLike, groups: Groups) -> TiedLayer:
    """The layer with one parameter for each group of places, as a `TiedLayer`.

    Args:
        layer: a layer or a whole model.
        groups: tuples of dotted paths, such as ("encoder.weight", "decoder.weight"); with ".T"
            behind it, as in "decoder.weight.T", a matrix is the transpose of the others. (The
            weights of `Embedding(v, d)` and `Dense(d, v)` are both (v, d): they need none.)

    Raises:
        KeyError: there is no such parameter; the message lists those that exist.
        ValueError: a group of fewer than two, groups that overlap, parameters of different
            structure, shape or dtype, or ".T" of what is not a matrix.

    Example:
        >>> from sciml_lux import nn, parameter_length
        >>> model = nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2))
        >>> parameter_length(model), parameter_length(tie(model, [("layer_1", "layer_2")]))
        (12, 6)
        >>> autoencoder = nn.Chain(nn.Dense(8, 3, nn.tanh), nn.Dense(3, 8))
        >>> tied = tie(autoencoder, [("layer_1.weight", "layer_2.weight.T")])
        >>> parameter_length(autoencoder), parameter_length(tied)
        (59, 35)
    """
    return TiedLayer(layer, tuple(tuple(group) for group in groups))


def share_parameters(
    ps: Parameters, groups: Groups, new_parameters: Sequence[PyTree] | None = None
) -> Parameters:
    """`ps` with the same arrays at all places of each group.

    They are equal only at first: each place has its own gradient and its own update. `nn.tie` makes
    them one parameter.

    Args:
        ps: parameters.
        groups: tuples of dotted paths, such as ("layer_1", "layer_3"), or with ".T" as in `tie`.
        new_parameters: the new values, one entry for each group; by default the values at its first
            place.

    Raises:
        KeyError: there is no such parameter; the message lists those that exist.
        ValueError: a group of fewer than two, groups that overlap, parameters of different
            structure, shape or dtype, ".T" of what is not a matrix, or another number of new
            parameters than of groups.

    Source: `Experimental.share_parameters` of Lux 1.31.

    Example:
        >>> import jax
        >>> from sciml_lux import nn, setup
        >>> ps, _ = setup(jax.random.key(0), nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2)))
        >>> ps = share_parameters(ps, [("layer_1", "layer_2")])
        >>> ps.layer_1.weight is ps.layer_2.weight
        True
    """
    ps = records(ps)
    places = _checked("`share_parameters`", ps, groups)
    shared = own_memory(new_parameters)
    if shared is None:
        shared = [entry(ps, first.path) for first, *_ in places]
    if len(shared) != len(places):
        raise ValueError(
            f"`share_parameters` expects new parameters for each of {len(places)} groups, got "
            f"{len(shared)}."
        )
    for group, value in zip(places, shared, strict=True):
        first = group[0]
        old = entry(ps, first.path)
        _check_same("`share_parameters`", old, value, first, "what is new there")
        for place in group:
            ps = with_entry(ps, place.path, place.seen_from(first, value))
    return ps


class Place(NamedTuple):
    """The path of a parameter of a group, and whether it is the transpose of the shared one."""

    path: Path
    transposed: bool

    def __str__(self) -> str:
        return dotted(self.path) + (".T" if self.transposed else "")

    def seen_from(self, other: "Place", value: PyTree) -> PyTree:
        """The value at this place if `value` is the one at `other`."""
        return value if self.transposed == other.transposed else _transpose(value)


def _transpose(matrix: PyTree) -> PyTree:
    if isinstance(matrix, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(matrix.shape[::-1], matrix.dtype)
    return matrix.T


@functools.lru_cache(maxsize=256)
def _places(layer: LayerLike, groups: Groups) -> list[list[Place]]:
    """The places of a `TiedLayer`, which were checked when it was made."""
    ps = parameter_structure(layer)
    return [[_place(ps, path) for path in as_paths(group)] for group in groups]


def _place(ps: Parameters, path: Path) -> Place:
    """The place that a string names; a parameter called "T" is not a transpose."""
    if len(path) > 1 and path[-1] == "T" and not has_entry(ps, path):
        return Place(path[:-1], True)
    return Place(path, False)


def _checked(subject: str, ps: Parameters, groups: Groups) -> list[list[Place]]:
    """The groups as places, checked to exist, to be disjoint and to have the same structure."""
    places = [[_place(ps, path) for path in as_paths(group)] for group in groups]
    for group in places:
        if len(group) < 2:
            raise ValueError(
                f"{subject} expects groups of at least two places, got "
                f"{tuple(map(str, group))}. A group is a tuple of dotted paths."
            )
        for place in group:
            check_path(subject, ps, place.path)
            _check_matrix(subject, place, entry(ps, place.path))
    _check_disjoint(subject, [place.path for group in places for place in group])
    for first, *rest in places:
        for place in rest:
            expected = place.seen_from(first, entry(ps, first.path))
            _check_same(subject, expected, entry(ps, place.path), first, f"`{place}`")
    return places


def _check_matrix(subject: str, place: Place, value: PyTree) -> None:
    if place.transposed and len(getattr(value, "shape", ())) != 2:
        got = describe(value) if hasattr(value, "shape") else "a tree of parameters"
        raise ValueError(
            f"{subject} expects a matrix at `{dotted(place.path)}`, since `{place}` is its "
            f"transpose, got {got}."
        )


def _check_disjoint(subject: str, paths: list[Path]) -> None:
    for i, path in enumerate(paths):
        for other in paths[:i]:
            if starts_with(path, other) or starts_with(other, path):
                raise ValueError(
                    f"{subject} expects places that do not overlap, got `{dotted(other)}` and "
                    f"`{dotted(path)}`. Name each place once, in one group."
                )


def _check_same(subject: str, first: PyTree, other: PyTree, place: Place, other_name: str) -> None:
    difference = first_difference(first, other)
    if difference:
        raise ValueError(
            f"{subject} expects `{place}` and {other_name} to have one structure, shape and "
            f"dtype, {difference}."
        )
