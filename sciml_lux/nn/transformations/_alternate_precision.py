"""AlternatePrecision: a layer computed in a dtype of its own."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from ...core import LayerLike, Parameters, States, WrapperLayer, apply
from ...precision import bf16, f16, f32, f64, tree_dtype
from ...precision.internal import resolve_dtype
from ..containers._named_layers import as_layer

_CONVERSIONS = {"float16": f16, "bfloat16": bf16, "float32": f32, "float64": f64}


class AlternatePrecision(WrapperLayer):
    """y = layer(x), computed in `dtype` and returned in the dtype of x.

    The only layer whose purpose is to cast: floats in x and in the parameters are cast to `dtype`
    before the layer, and floats in y are cast back after it. Each gradient has the dtype of its
    variable.

    Args:
        dtype: float16, bfloat16, float32 or float64, as a dtype or by name.
        layer: a layer or function.
        cast_params: whether the parameters are cast too. Otherwise a layer with wider parameters
            promotes its input and computes in their dtype.

    Inputs: anything the layer takes; integers are not cast.

    Returns: y in the dtype of x, or in that of the parameters if x has no floats.

    Parameters and States: exactly those of the layer, in their own dtypes. States are not cast; to
        freeze parameters, freeze the whole `AlternatePrecision`, as `freeze` does.

    Raises:
        TypeError: `dtype` is not one of the four, or is float64 while x64 is off.

    Source: `AlternatePrecision` of Lux 1.31, which leaves the parameters as they are.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.AlternatePrecision("bfloat16", nn.Dense(2, 3))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].dtype.name, ps.weight.dtype.name
        ('float32', 'float32')
    """

    dtype: Any
    layer: LayerLike
    _: dataclasses.KW_ONLY
    cast_params: bool = True

    # The inner layer gets the input after the cast.
    leaves_floats_inside: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Store the dtype by name, and a function as a layer."""
        name = resolve_dtype(self.dtype, "`AlternatePrecision`: `dtype`").name
        if name not in _CONVERSIONS:
            raise TypeError(
                f"`AlternatePrecision` expects `dtype` to be one of {', '.join(_CONVERSIONS)}, "
                f"got {name}."
            )
        object.__setattr__(self, "dtype", name)
        object.__setattr__(self, "layer", as_layer(self.layer, "AlternatePrecision"))

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The output in the dtype of `x`."""
        resolve_dtype(self.dtype, "`AlternatePrecision`: `dtype`")  # x64 may be off by now.
        y, st = apply(self.layer, _CONVERSIONS[self.dtype](x), *self.inner_trees(ps, st))
        return _as_outside(y, x, ps), st

    def initial_carry(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """The initial carry of the layer, if it is a cell that defines one."""
        like = jax.eval_shape(_CONVERSIONS[self.dtype], x)
        carry, st = super().initial_carry(like, ps, st)
        return _as_outside(carry, x, ps), st

    def inner_trees(self, ps: Parameters, st: States) -> tuple[Parameters, States]:
        """The parameters, in `dtype` if they are cast."""
        return (_CONVERSIONS[self.dtype](ps) if self.cast_params else ps), st


def _as_outside(y: PyTree, x: PyTree, ps: Parameters) -> PyTree:
    """`y` in the dtype of `x`, or of `ps` if `x` has no floats."""
    outer = tree_dtype(x) or tree_dtype(ps)
    return y if outer is None else _CONVERSIONS[jnp.finfo(outer).dtype.name](y)
