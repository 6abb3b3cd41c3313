"""TiedLayer, tie and share_parameters: one parameter at several places."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from ..core import WrapperLayer, apply, first_difference, parameter_structure
from ..precision import shared
from ._cell_contract import initial_carry
from ._entries import (
    Path,
    as_paths,
    check_path,
    dotted,
    entry,
    ordered,
    records,
    starts_with,
    with_entry,
    without,
)

Groups = Iterable[Sequence[str]]


class TiedLayer(WrapperLayer):
    """y = layer(x), where the parameters of each group are one and the same.

    The parameters are there once, at the first place of each group, and are put at the others when
    the layer is called: their gradients add up by themselves, and the optimiser sees one copy.

    Args:
        layer: a layer.
        groups: tuples of dotted paths, such as ("encoder.weight", "decoder.weight").

    Parameters: those of the layer without all but the first place of each group.

    States: exactly those of the layer.

    Raises:
        KeyError: there is no such parameter; says which there are.
        ValueError: a group of fewer than two, groups that overlap, or parameters of different
            structure, shape or dtype.

    Source: asked for in Lux's issues 182 and 420; `Experimental.share_parameters` there does not
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

    layer: Any
    groups: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Groups as tuples, each of known parameters that can be the same."""
        groups = _checked("`TiedLayer`", parameter_structure(self.layer), self.groups)
        object.__setattr__(self, "groups", tuple(tuple(map(dotted, g)) for g in groups))

    def initial_parameters(self, key: jax.Array, dtype: np.dtype) -> Any:
        """The layer's parameters, those of each group once."""
        return self.contract(self.layer.initial_parameters(key, dtype))

    def __call__(self, x: Any, ps: Any, st: Any) -> tuple[Any, Any]:
        """The output of the layer with each group's parameter at all its places."""
        return apply(self.layer, x, self._spread(ps), st)

    def initial_carry(self, x: Any, ps: Any, st: Any) -> tuple[Any, Any]:
        """The carry from which the layer starts, where it is a cell that can tell."""
        return initial_carry(self.layer, x, self._spread(ps), st)

    def contract(self, ps: Any) -> Any:
        """The layer's parameters with the first place of each group alone."""
        return without(records(ps), [path for _, *rest in self._paths() for path in rest])

    def expand(self, ps: Any) -> Any:
        """The parameters that the layer takes, in its own order; the opposite of `contract`."""
        return ordered(self._spread(ps), parameter_structure(self.layer))

    def _spread(self, ps: Any) -> Any:
        ps = records(ps)
        for first, *rest in self._paths():
            wide, narrowed = shared(entry(ps, first))
            for path in (first, *rest):
                ps = with_entry(ps, path, narrowed(wide))
        return ps

    def _paths(self) -> list[tuple[Path, ...]]:
        return [as_paths(group) for group in self.groups]


def tie(layer: Any, groups: Groups) -> TiedLayer:
    """The layer with one parameter for each group of places, as a `TiedLayer`.

    Args:
        layer: a layer or a whole model.
        groups: tuples of dotted paths, such as ("encoder.weight", "decoder.weight").

    Raises:
        KeyError: there is no such parameter; says which there are.
        ValueError: a group of fewer than two, groups that overlap, or parameters of different
            structure, shape or dtype.

    Example:
        >>> from sciml_lux import nn, parameter_length
        >>> model = nn.Chain(nn.Dense(2, 2), nn.Dense(2, 2))
        >>> parameter_length(model), parameter_length(tie(model, [("layer_1", "layer_2")]))
        (12, 6)
    """
    return TiedLayer(layer, tuple(tuple(group) for group in groups))


def share_parameters(ps: Any, groups: Groups, new_parameters: Sequence[Any] | None = None) -> Any:
    """`ps` with the same arrays at all places of each group.

    They are equal at the start alone: each place has its own gradient and its own update. `nn.tie`
    makes them one for good.

    Args:
        ps: parameters.
        groups: tuples of dotted paths, such as ("layer_1", "layer_3").
        new_parameters: what to put there, an entry for each group; by default what lies at the
            first place of each.

    Raises:
        KeyError: there is no such parameter; says which there are.
        ValueError: a group of fewer than two, groups that overlap, parameters of different
            structure, shape or dtype, or another number of new parameters than of groups.

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
    paths = _checked("`share_parameters`", ps, groups)
    shared = new_parameters
    if shared is None:
        shared = [entry(ps, group[0]) for group in paths]
    if len(shared) != len(paths):
        raise ValueError(
            f"`share_parameters` expects new parameters for each of {len(paths)} groups, got "
            f"{len(shared)}."
        )
    for group, value in zip(paths, shared, strict=True):
        _check_same("`share_parameters`", entry(ps, group[0]), value, group[0], "what is new there")
        for path in group:
            ps = with_entry(ps, path, value)
    return ps


def _checked(subject: str, ps: Any, groups: Groups) -> list[tuple[Path, ...]]:
    """The groups as paths, which exist, are disjoint and hold the same structures."""
    paths = [as_paths(group) for group in groups]
    for group in paths:
        if len(group) < 2:
            raise ValueError(
                f"{subject} expects groups of at least two places, got "
                f"{tuple(map(dotted, group))}. A group is a tuple of dotted paths."
            )
        for path in group:
            check_path(subject, ps, path)
    _check_disjoint(subject, [path for group in paths for path in group])
    for first, *rest in paths:
        for path in rest:
            _check_same(subject, entry(ps, first), entry(ps, path), first, f"`{dotted(path)}`")
    return paths


def _check_disjoint(subject: str, paths: list[Path]) -> None:
    for i, path in enumerate(paths):
        for other in paths[:i]:
            if starts_with(path, other) or starts_with(other, path):
                raise ValueError(
                    f"{subject} expects places that do not overlap, got `{dotted(other)}` and "
                    f"`{dotted(path)}`. Name each place once, in one group."
                )


def _check_same(subject: str, first: Any, other: Any, path: Path, other_name: str) -> None:
    difference = first_difference(first, other)
    if difference:
        raise ValueError(
            f"{subject} expects `{dotted(path)}` and {other_name} to have one structure, shape and "
            f"dtype, {difference}."
        )
