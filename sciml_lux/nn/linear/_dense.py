"""Dense: the affine map with an activation."""

import dataclasses
import math
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Inexact

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_function, check_integer, subject
from ...initializers import Initializer, kaiming_uniform, uniform
from ...ops import fused_dense_bias_activation, identity
from .._last_axis import check_last_axis
from .._precision import Precision, check_precision
from ._gain import gain


class Dense(Layer):
    """y = activation(x Wᵀ + b), over the last axis of x.

    Args:
        in_dims: size of the last axis of the input.
        out_dims: size of the last axis of the output.
        activation: elementwise function.
        use_bias: whether b is there.
        init_weight: initialiser of W; by default U(±gain √(3/in_dims)), with the gain that suits
            the activation (√2 for relu, 5/3 for tanh, 3/4 for selu, 1 otherwise).
        init_bias: initialiser of b; by default U(±1/√in_dims).
        precision: of the matrix product, "highest" for full float32 on accelerators; "high" and
            "default" allow fewer digits there.

    Inputs: x (..., in_dims), floating or complex; integers are taken in the parameters' dtype.

    Returns: y (..., out_dims) in the widest of the dtypes of x and the parameters.

    Parameters: weight (out_dims, in_dims), bias (out_dims,).

    Raises:
        ValueError: sizes below zero; x or a parameter of another shape.
        EltypeMismatchError: float16 together with bfloat16; other mixtures if
            `precision.match_eltype` forbids them.

    Source: `Dense` of Lux 1.31. Ours has features last, and uses the usual gains (√2 for relu and
        leaky relu); Lux uses their squares.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Dense(2, 3, nn.tanh)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> y, st = model(jnp.ones((5, 2), jnp.float32), ps, st)
        >>> y.shape, model
        ((5, 3), Dense(2, 3, tanh))
    """

    in_dims: int
    out_dims: int
    activation: Callable[[Array], Array] = identity
    _: dataclasses.KW_ONLY
    use_bias: bool = True
    init_weight: Initializer | None = None
    init_bias: Initializer | None = None
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes and the activation."""
        for name in ("in_dims", "out_dims"):
            check_integer("Dense", name, getattr(self, name), least=0)
        check_function("Dense", "activation", self.activation, such_as="nn.tanh")
        check_precision(self)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Weight, and bias where it is used."""
        init_weight = self.init_weight or kaiming_uniform(gain=gain(self.activation))
        init_bias = self.init_bias or uniform(bound=1.0 / math.sqrt(max(self.in_dims, 1)))
        weight = init_weight(jax.random.fold_in(key, 0), (self.out_dims, self.in_dims), dtype)
        if not self.use_bias:
            return Record(weight=weight)
        return Record(
            weight=weight, bias=init_bias(jax.random.fold_in(key, 1), (self.out_dims,), dtype)
        )

    def __call__(
        self, x: Inexact[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "... out_dims"], States]:
        """The output, and `st` as it was."""
        check_last_axis(self, x)
        if ps.weight.shape != (self.out_dims, self.in_dims):
            raise ValueError(
                f"{subject(self)} expects the parameter `weight` to be (out_dims, in_dims) = "
                f"{(self.out_dims, self.in_dims)}, got shape {ps.weight.shape}. Pass the "
                "parameters that setup(key, model) made for this model."
            )
        bias = ps.bias if self.use_bias else None
        y = fused_dense_bias_activation(
            self.activation, ps.weight, x, bias, precision=self.precision
        )
        return y, st
