"""WeightNorm: weights trained as a length times a direction."""

import dataclasses

import numpy as np
from jax.core import Tracer

from ...core import Key, LayerLike, Parameters, Record, States, WrapperLayer, as_record, layer_name
from ...core.internal import check_layer, is_integer
from ...ops import norm_except, weightnorm


class WeightNorm(WrapperLayer):
    """y = layer(x), where each parameter in `which_params` is w = g v / ‖v‖.

    Args:
        layer: the layer.
        which_params: the names of the parameters to normalise, or one name.
        axis: the axis along which g varies, such as 0 for one length for each output of `Dense`;
            None, the default, for one length for the whole array; or a tuple with one of these for
            each name.

    Inputs and Returns: those of `layer`.

    Parameters: `normalized` with `<name>_g`, of the shape of the parameter with size 1 along all
        axes but `axis`, and `<name>_v`, the parameter as `layer` starts it; g starts as ‖v‖.
        `unnormalized` with the other parameters.

    States: those of `layer`.

    Raises:
        ValueError: `layer` has no parameter array of such a name; an initial norm is zero, so that
            there is no direction (checked unless `setup` is traced); the lengths of `axis` and
            `which_params` differ.
        TypeError: `which_params` or `axis` is of the wrong type.

    Source: `WeightNorm` of Lux 1.31, by its documentation: the default is one norm of the whole
        array, where its code takes one for each entry of the last axis; that is `axis=-1`, and in
        Lux's layout for `Dense` one for each input. Lux adds a small number to ‖v‖; ours does not,
        and gives 0 where v is 0. arXiv 1602.07868.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.WeightNorm(nn.Dense(2, 3), "weight", axis=0)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> ps.normalized.weight_g.shape, list(ps.unnormalized)
        ((3, 1), ['bias'])
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape
        (5, 3)
    """

    layer: LayerLike
    which_params: str | tuple[str, ...]
    _: dataclasses.KW_ONLY
    axis: int | tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        """Check the layer, names and axes; a single name becomes a tuple."""
        check_layer("WeightNorm", "layer", self.layer, "nn.Dense(2, 3)")
        names = self.which_params
        names = (names,) if isinstance(names, str) else names
        if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
            raise TypeError(
                "`WeightNorm` expects `which_params` to be the names of parameters such as "
                f'("weight",), got {names!r}.'
            )
        object.__setattr__(self, "which_params", names)
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,) * len(names)
        if not all(axis is None or is_integer(axis) for axis in axes):
            raise TypeError(
                "`WeightNorm` expects `axis` to be an axis, None, or a tuple of these, got "
                f"{self.axis!r}."
            )
        if not names or len(axes) != len(names):
            raise ValueError(
                "`WeightNorm` expects one or more `which_params`, and in a tuple `axis` one for "
                f"each, got {names} and {self.axis!r}."
            )

    @property
    def _axes(self) -> dict[str, int | None]:
        """The axis of each name."""
        axes = self.axis if isinstance(self.axis, tuple) else (self.axis,) * len(self.which_params)
        return dict(zip(self.which_params, axes, strict=True))

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The parameters of the layer, with those in `which_params` as length and direction."""
        ps = self.layer.initial_parameters(key, dtype)
        normalized = {}
        for name, axis in self._axes.items():
            if name not in ps or not hasattr(ps[name], "shape"):
                arrays = [f"`{n}`" for n in ps if hasattr(ps[n], "shape")]
                raise ValueError(
                    f"`WeightNorm` expects `which_params` to name arrays among the parameters of "
                    f"`{layer_name(self.layer)}`, which are {', '.join(arrays) or 'none'}; got "
                    f"`{name}`."
                )
            norm = norm_except(ps[name], axis)
            if not isinstance(norm, Tracer) and not norm.all():
                raise ValueError(
                    f"`WeightNorm` expects parameters with a direction, got `{name}` with a norm "
                    f"of zero. Leave it out of `which_params`, or set `init_{name}`."
                )
            normalized |= {f"{name}_g": norm, f"{name}_v": ps[name]}
        rest = {name: ps[name] for name in ps if name not in self._axes}
        return Record(normalized=Record(normalized), unnormalized=Record(rest))

    def inner_trees(self, ps: Parameters, st: States) -> tuple[Parameters, States]:
        """The parameters with the weight that each length and direction make."""
        parts, rest = ps.normalized, ps.unnormalized
        rest = rest.as_record() if hasattr(type(rest), "as_record") else as_record(rest)
        weights = {
            name: weightnorm(getattr(parts, f"{name}_v"), getattr(parts, f"{name}_g"), axis)
            for name, axis in self._axes.items()
        }
        return rest | weights, st
