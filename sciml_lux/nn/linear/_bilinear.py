"""Bilinear: a map linear in each of two inputs."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_function, is_integer, subject
from ...initializers import Initializer, uniform
from ...ops import identity
from ...precision import broadcasting, promote
from .._precision import Precision, check_precision


class Bilinear(Layer):
    """zᵢ = activation(xᵀ Wᵢ y + bᵢ), over the last axes of x and y.

    Args:
        in_dims: sizes of the last axes of x and y, a pair; or one integer for both.
        out_dims: size of the last axis of the output.
        activation: elementwise function.
        use_bias: whether b is there.
        init_weight: initialiser of W; by default U(±1/√m), with the size m of the last axis of x.
        init_bias: initialiser of b; by default the same.
        precision: of the products, as in `Dense`.

    Inputs: a pair of x (..., in1) and y (..., in2) with equal leading axes; or x, which is then
        used for both.

    Returns: z (..., out_dims) in the widest of the dtypes of the inputs and the parameters.

    Parameters: weight (out_dims, in1, in2), bias (out_dims,).

    Raises:
        TypeError: a size is not an integer, `activation` is not a function, an input is not an
            array.
        ValueError: sizes below zero; inputs or a parameter of another shape.

    Source: `Bilinear` of Lux 1.31. Its documentation has our initial weights; its code draws W from
        a shifted normal distribution. PyTorch's `Bilinear` has the same weights.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Bilinear((2, 3), 4)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> x, y = jnp.ones((5, 2), jnp.float32), jnp.ones((5, 3), jnp.float32)
        >>> model((x, y), ps, st)[0].shape
        (5, 4)
    """

    in_dims: int | tuple[int, int]
    out_dims: int
    activation: Callable[[Array], Array] = identity
    _: dataclasses.KW_ONLY
    use_bias: bool = True
    init_weight: Initializer | None = None
    init_bias: Initializer | None = None
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes and the activation."""
        sizes = (*self._pair, self.out_dims)
        if len(sizes) != 3 or not all(is_integer(size) for size in sizes):
            raise TypeError(
                "`Bilinear` expects `in_dims` to be an integer or a pair of integers and "
                f"`out_dims` an integer, got {self.in_dims!r} and {self.out_dims!r}."
            )
        if min(sizes) < 0:
            raise ValueError(
                f"`Bilinear` expects sizes of at least 0, got {self.in_dims!r} (`in_dims`) and "
                f"{self.out_dims} (`out_dims`)."
            )
        check_function("Bilinear", "activation", self.activation, such_as="nn.tanh")
        check_precision(self)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Weight, and bias where it is used."""
        bounded = uniform(bound=1.0 / math.sqrt(max(self._pair[0], 1)))
        shape = (self.out_dims, *self._pair)
        weight = (self.init_weight or bounded)(jax.random.fold_in(key, 0), shape, dtype)
        if not self.use_bias:
            return Record(weight=weight)
        bias = (self.init_bias or bounded)(jax.random.fold_in(key, 1), shape[:1], dtype)
        return Record(weight=weight, bias=bias)

    def __call__(
        self, x: Inexact[Array, "... in_dims"] | tuple[Array, Array], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "... out_dims"], States]:
        """The output, and `st` as it was."""
        x, y = x if isinstance(x, tuple) and len(x) == 2 else (x, x)
        if not (hasattr(x, "shape") and hasattr(y, "shape")):
            raise TypeError(
                f"{subject(self)} expects an array or a pair of arrays, got "
                f"{type(x).__name__} and {type(y).__name__}."
            )
        in1, in2 = self._pair
        if x.shape[-1:] != (in1,) or y.shape[-1:] != (in2,) or x.shape[:-1] != y.shape[:-1]:
            raise ValueError(
                f"{subject(self)} expects `x` (..., {in1}) and `y` (..., {in2}) with equal "
                f"leading axes (`in_dims` is {self.in_dims}), got shapes {x.shape} and {y.shape}."
            )
        if ps.weight.shape != (self.out_dims, in1, in2):
            raise ValueError(
                f"{subject(self)} expects the parameter `weight` to be (out_dims, in1, in2) = "
                f"{(self.out_dims, in1, in2)}, got shape {ps.weight.shape}. Pass the parameters "
                "that setup(key, model) made for this model."
            )
        x, y, weight = promote(x, y, ps.weight)
        z = jnp.einsum("...i,oij,...j->...o", x, weight, y, precision=self.precision)
        if self.use_bias:
            z = broadcasting(jax.lax.add, z, ps.bias)
        return self.activation(z), st

    @property
    def _pair(self) -> tuple[int, ...]:
        return self.in_dims if isinstance(self.in_dims, tuple) else (self.in_dims, self.in_dims)
