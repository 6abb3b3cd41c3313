"""Scale: an elementwise affine map."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Inexact

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_function, check_integer, subject
from ...initializers import Initializer, ones, zeros
from ...ops import identity
from ...precision import broadcasting
from .._array_check import check_array

_FORM = "Write Scale(2, 3, activation=nn.tanh)."


class Scale(Layer):
    """y = activation(w x + b), elementwise over the last axes of x.

    Args:
        *dims: sizes of the last axes of the input.
        activation: elementwise function.
        use_bias: whether b is there.
        init_weight: initialiser of w; ones by default.
        init_bias: initialiser of b; zeros by default.

    Inputs: x (..., *dims), floating or complex; integers are taken in the parameters' dtype.

    Returns: y (..., *dims) in the widest of the dtypes of x and the parameters.

    Parameters: weight (*dims), bias (*dims).

    Raises:
        TypeError: a size is not an integer, or `activation` is not a function.
        ValueError: sizes below zero; x or a parameter of another shape.

    Source: `Scale` of Lux 1.31, whose documentation has ones as initial weights, as here; its code
        draws from `glorot_uniform`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Scale(3, activation=nn.relu)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.asarray([[-1.0, 0.0, 2.0]], jnp.float32), ps, st)[0].tolist()
        [[0.0, 0.0, 2.0]]
    """

    dims: tuple[int, ...]
    _: dataclasses.KW_ONLY
    activation: Callable[[Array], Array] = identity
    use_bias: bool = True
    init_weight: Initializer = ones
    init_bias: Initializer = zeros

    def __init__(
        self,
        *dims: int,
        activation: Callable[[Array], Array] = identity,
        use_bias: bool = True,
        init_weight: Initializer = ones,
        init_bias: Initializer = zeros,
    ) -> None:
        for size in dims:
            check_integer("Scale", "dims", size, least=0, remedy=_FORM)
        check_function("Scale", "activation", activation, remedy=_FORM)
        if not dims:
            raise ValueError(f"`Scale` expects one or more sizes, got none. {_FORM}")
        fields = {"dims": dims, "activation": activation, "use_bias": use_bias}
        fields |= {"init_weight": init_weight, "init_bias": init_bias}
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Weight, and bias where it is used."""
        weight = self.init_weight(jax.random.fold_in(key, 0), self.dims, dtype)
        if not self.use_bias:
            return Record(weight=weight)
        return Record(
            weight=weight, bias=self.init_bias(jax.random.fold_in(key, 1), self.dims, dtype)
        )

    def __call__(
        self, x: Inexact[Array, "..."], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "..."], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        if x.shape[-len(self.dims) :] != self.dims:
            raise ValueError(
                f"{subject(self)} expects the last axes of `x` to be {self.dims} (`dims`), got "
                f"shape {x.shape}. Pass `x` as (..., *dims)."
            )
        if ps.weight.shape != self.dims:
            raise ValueError(
                f"{subject(self)} expects the parameter `weight` to be {self.dims} (`dims`), got "
                f"shape {ps.weight.shape}. Pass the parameters that setup(key, model) made for "
                "this model."
            )
        y = broadcasting(jax.lax.mul, x, ps.weight)
        if self.use_bias:
            y = broadcasting(jax.lax.add, y, ps.bias)
        return self.activation(y), st

    def _arguments(self) -> list[str]:
        return [*map(repr, self.dims), *super()._arguments()[1:]]
