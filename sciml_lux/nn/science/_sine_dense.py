"""SineDense: an affine map followed by a sine of high frequency."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_number
from ...initializers import Initializer, uniform
from ...ops import fused_dense_bias_activation
from .._last_axis import check_last_axis
from .._precision import Precision, check_precision
from .._sizes import check_sizes


class SineDense(Layer):
    """y = sin(omega (x Wᵀ + b)), over the last axis of x.

    Args:
        in_dims: size of the last axis of the input.
        out_dims: size of the last axis of the output.
        omega: factor of the frequencies; a larger one also makes them change faster in training.
        is_first: whether x are coordinates rather than the output of such a layer; this determines
            the initial W.
        use_bias: whether there is a bias b.
        init_weight: initialiser of W; by default U(±1/in_dims) in the first layer and
            U(±√(6/in_dims)/omega) in others, which keeps the argument of the sine at variance 1.
        init_bias: initialiser of b; by default U(±1/√in_dims).
        precision: of the matrix product, as in `Dense`.

    Inputs: x (..., in_dims).

    Returns: y (..., out_dims) in the widest of the dtypes of x and the parameters.

    Parameters: weight (out_dims, in_dims), bias (out_dims,).

    Raises:
        ValueError: sizes below 1; an omega that is not positive; x of another shape.
        TypeError: a size is not an integer.

    Source: arXiv 2006.09661, section 3.2; the initial bias is that of its authors' code.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.SineDense(2, 3, is_first=True)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape
        (5, 3)
    """

    in_dims: int
    out_dims: int
    omega: float = 30.0
    _: dataclasses.KW_ONLY
    is_first: bool = False
    use_bias: bool = True
    init_weight: Initializer | None = None
    init_bias: Initializer | None = None
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes and the frequency."""
        check_sizes(self, "in_dims", "out_dims")
        check_precision(self)
        check_number("SineDense", "omega", self.omega, above=0)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Weight, and bias where it is used."""
        spread = math.sqrt(6.0 / self.in_dims) / self.omega
        bound = 1.0 / self.in_dims if self.is_first else spread
        init_weight = self.init_weight or uniform(bound=bound)
        init_bias = self.init_bias or uniform(bound=1.0 / math.sqrt(self.in_dims))
        shape = (self.out_dims, self.in_dims)
        weight = init_weight(jax.random.fold_in(key, 0), shape, dtype)
        if not self.use_bias:
            return Record(weight=weight)
        return Record(weight=weight, bias=init_bias(jax.random.fold_in(key, 1), shape[:1], dtype))

    def __call__(
        self, x: Float[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... out_dims"], States]:
        """The output, and `st` as it was."""
        check_last_axis(self, x)
        bias = ps.bias if self.use_bias else None
        sine = functools.partial(_sine, omega=self.omega)
        y = fused_dense_bias_activation(sine, ps.weight, x, bias, precision=self.precision)
        return y, st


def _sine(x: Array, omega: float) -> Array:
    return jnp.sin(omega * x)
