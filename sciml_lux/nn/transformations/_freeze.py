"""FrozenLayer, freeze and unfreeze: parameters that training does not change."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from ...core import (
    Key,
    LayerLike,
    Parameters,
    Record,
    States,
    WrapperLayer,
    layer_name,
    parameter_structure,
    state_structure,
    testmode,
)
from ...core.internal import flat_children, named_leaves
from ..containers._named_layers import as_layer
from ._alternate_precision import AlternatePrecision
from ._entries import (
    Path,
    as_paths,
    check_path,
    dotted,
    merged,
    only,
    ordered,
    records,
    starts_with,
    without,
)
from ._layer_map import Child, children, layer_map, rebuilt


class FrozenLayer(WrapperLayer):
    """y = layer(x), with some of its parameters among the states.

    States have no gradient and are not given to the optimiser.

    Args:
        layer: a layer.
        which: the names of the parameters to freeze, such as "weight" or "normalized.weight_g";
            None for all.
        freeze_states: whether its states do not change either, and the layer runs in test mode
            whatever the mode of the model.

    Parameters: those of the layer that are not frozen.

    States: `frozen_params`, the frozen parameters, and `states`, the layer's own.

    Raises:
        KeyError: the layer has no such parameter.

    Source: `Experimental.FrozenLayer` of Lux 1.31, which ignores unknown names.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.FrozenLayer(nn.Dense(2, 3), "weight")
        >>> ps, st = setup(jax.random.key(0), model)
        >>> list(ps), list(st.frozen_params), model(jnp.ones(2, jnp.float32), ps, st)[0].shape
        (['bias'], ['weight'], (3,))
    """

    layer: LayerLike
    which: tuple[str, ...] | None = None
    _: dataclasses.KW_ONLY
    freeze_states: bool = False

    def __post_init__(self) -> None:
        """Store the names as a tuple, and check that they exist."""
        object.__setattr__(self, "layer", as_layer(self.layer, "FrozenLayer"))
        if self.which is None:
            return
        paths = dict.fromkeys(as_paths(self.which))
        known = parameter_structure(self.layer)
        for path in paths:
            check_path("`FrozenLayer`", known, path)
        object.__setattr__(self, "which", tuple(map(dotted, paths)))

    @property
    def wrapped(self) -> LayerLike:
        """The inner layer, which messages call by the name of this one."""
        return self.layer

    def sublayers(self) -> dict[str, LayerLike]:
        """Empty: the trees of this layer do not contain those of the inner layer."""
        return {}

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The parameters that are not frozen."""
        return self.split(self.layer.initial_parameters(key, dtype))[0]

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The frozen parameters, and the states of the layer."""
        ps = self.layer.initial_parameters(jax.random.fold_in(key, 0), dtype)
        states = self.layer.initial_states(jax.random.fold_in(key, 1), dtype)
        return Record(frozen_params=self.split(ps)[1], states=states)

    def inner_trees(self, ps: Parameters, st: States) -> tuple[Parameters, States]:
        """All parameters of the layer, and its states, in test mode if these are frozen."""
        states = testmode(st.states) if self.freeze_states else st.states
        return self.join(ps, st.frozen_params), states

    def outer_states(self, st: States, inner: States) -> States:
        """The states with the layer's new ones, unless they are frozen."""
        return st if self.freeze_states else st | {"states": inner}

    def split(self, ps: Parameters) -> tuple[Parameters, Parameters]:
        """The layer's parameters in two parts: those that are not frozen and those that are."""
        if self.which is None:
            return Record(), ps
        ps, paths = records(ps), as_paths(self.which)
        return without(ps, paths), only(ps, paths)

    def join(self, ps: Parameters, frozen_params: Parameters) -> Parameters:
        """The layer's parameters from the two parts, in whatever order these are."""
        return frozen_params if self.which is None else merged(records(ps), frozen_params)


def freeze(
    layer: LayerLike,
    ps: Parameters = None,
    st: States = None,
    which: str | Iterable[str] | None = None,
    *,
    freeze_states: bool = False,
) -> Any:
    """The layer with some of its parameters frozen: moved to the states with their values.

    Args:
        layer: a layer or a whole model.
        ps: its parameters.
        st: its states.
        which: dotted paths of what to freeze, such as "layer_2", "layer_1.weight" or several; None
            for all. Containers are rebuilt with a `FrozenLayer` for each child concerned; an
            `AlternatePrecision`, which casts parameters and not states, is frozen as a whole.
        freeze_states: whether the states of frozen layers do not change either, and these layers
            run in test mode whatever the mode of the model: a `BatchNorm` normalises by its running
            statistics and does not update them, as with `trainable=False` in Keras and `.eval()` in
            PyTorch. Otherwise statistics are still updated in training mode. A layer without
            parameters that is named, or lies in one that is frozen, is included.

    Returns:
        The new layer, parameters and states; only the layer if no trees are given.

    Raises:
        KeyError: there is no such parameter; the message lists those that exist.
        TypeError: `ps` without `st`.

    Source: `Experimental.freeze` of Lux 1.31; ours takes paths into a model. It has no
        `freeze_states`.

    Example:
        >>> import jax
        >>> from sciml_lux import nn, setup
        >>> model = nn.Chain(nn.Dense(2, 8, nn.tanh), nn.Dense(8, 1))
        >>> model, ps, st = freeze(model, *setup(jax.random.key(0), model), "layer_1.weight")
        >>> model, list(ps.layer_1)
        (Chain(FrozenLayer(Dense(2, 8, tanh), ('weight',)), Dense(8, 1)), ['bias'])
    """
    if (ps is None) != (st is None) or isinstance(ps, str):
        raise TypeError(
            "`freeze` expects both `ps` and `st` or neither of them, and names as `which`: "
            "freeze(model, ps, st, which) or freeze(model, which=which)."
        )
    given = ps is not None
    ps = records(ps) if given else parameter_structure(layer)
    st = st if given else state_structure(layer)
    paths = None if which is None else as_paths(which)
    for path in paths or ():
        check_path("`freeze`", ps, path)
    frozen = _frozen(layer, ps, st, paths, freeze_states)
    return frozen if given else frozen[0]


def _frozen(
    layer: LayerLike,
    ps: Parameters,
    st: States,
    paths: tuple[Path, ...] | None,
    freeze_states: bool,
) -> tuple[LayerLike, Parameters, States]:
    """The layer with all its parameters, or only those at `paths`, frozen."""
    if isinstance(layer, FrozenLayer):
        before = None if layer.which is None else as_paths(layer.which)
        paths = None if before is None or paths is None else (*before, *paths)
        return _frozen(*_thawed(layer, ps, st), paths, freeze_states or layer.freeze_states)
    own = None if paths is None else list(paths)
    if paths is not None and (inner := _unchanged_children(layer, ps, st)):
        new = [_frozen_child(child, paths, freeze_states) for child in inner]
        layer, ps, st = rebuilt(layer, ps, st, new)
        own = [path for path in paths if not any(_concerns(path, child) for child in inner)]
    if own == []:
        return layer, ps, st
    names = None if own is None else tuple(map(dotted, own))
    frozen = FrozenLayer(layer, names, freeze_states=freeze_states)
    kept, fixed = frozen.split(ps)
    return frozen, kept, Record(frozen_params=fixed, states=st)


def _unchanged_children(layer: LayerLike, ps: Parameters, st: States) -> list[Child]:
    """The children that get their parameters unchanged, so that these can move to the states."""
    casts = isinstance(layer, AlternatePrecision) and layer.cast_params
    return [] if casts else children(layer, ps, st)


def _frozen_child(child: Child, paths: tuple[Path, ...], freeze_states: bool) -> Child:
    whole = any(starts_with(child.path, path) for path in paths)
    inside = tuple(path[len(child.path) :] for path in paths if starts_with(path, child.path))
    concerned = jax.tree.leaves(child.ps) and (whole or inside)
    if not concerned and not (freeze_states and whole and named_leaves(child.st)):
        return child
    return Child(child.path, *_frozen(*child[1:], None if whole else inside, freeze_states))


def _concerns(path: Path, child: Child) -> bool:
    return starts_with(path, child.path) or starts_with(child.path, path)


def unfreeze(layer: LayerLike, ps: Parameters = None, st: States = None) -> Any:
    """The layer with all that was frozen moved back to the parameters.

    Args:
        layer: a layer or a whole model.
        ps: its parameters.
        st: its states.

    Returns:
        The layer, parameters and states in the form before `freeze`; only the layer if no trees are
        given.

    Raises:
        TypeError: `ps` without `st`; something is frozen inside a layer whose trees do not contain
            those of its children, such as a `TiedLayer` or a `WeightNorm`.

    Source: `Experimental.unfreeze` of Lux 1.31.

    Example:
        >>> import jax
        >>> from sciml_lux import nn
        >>> unfreeze(nn.freeze(nn.Chain(nn.Dense(2, 3), nn.relu), which="layer_1.bias"))
        Chain(Dense(2, 3), WrappedFunction(relu))
    """
    if (ps is None) != (st is None):
        raise TypeError(
            "`unfreeze` expects both `ps` and `st` or neither of them: unfreeze(model, ps, st)."
        )
    if ps is None:
        return unfreeze(layer, parameter_structure(layer), state_structure(layer))[0]

    def thaw(
        layer: LayerLike, ps: Parameters, st: States, path: Path
    ) -> tuple[LayerLike, Parameters, States]:
        if isinstance(layer, FrozenLayer):
            return unfreeze(*_thawed(layer, ps, st))
        if _holds_frozen(layer):
            place = f" (at `{dotted(path)}`)" if path else ""
            raise TypeError(
                f"`unfreeze` expects nothing frozen inside `{layer_name(layer)}`{place}, whose "
                f"trees do not contain those of its children, got {layer!r}. Unfreeze the child "
                "before you wrap it, or freeze the wrapper: freeze(model, ps, st, which)."
            )
        return layer, ps, st

    return layer_map(thaw, layer, ps, st)


def _holds_frozen(layer: LayerLike) -> bool:
    inner = flat_children(getattr(layer, "sublayers", dict)()).values()
    return any(isinstance(child, FrozenLayer) or _holds_frozen(child) for child in inner)


def _thawed(layer: FrozenLayer, ps: Parameters, st: States) -> tuple[LayerLike, Parameters, States]:
    """The inner layer, with its parameters in its own order, and its states."""
    whole = layer.join(ps, st.frozen_params)
    return layer.layer, ordered(whole, parameter_structure(layer.layer)), st.states
