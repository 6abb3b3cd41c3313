"""RandomWeightFactorization: a dense layer with a trainable scale for each output."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import check_number
from ...initializers import Initializer, glorot_uniform, normal, zeros
from ...ops import fused_dense_bias_activation, identity
from ...precision import accumulating, promote
from .._last_axis import check_last_axis
from .._precision import Precision, check_precision
from .._sizes import check_sizes


class RandomWeightFactorization(Layer):
    """y = activation(x Wᵀ + b) with W = diag(exp(s)) V, over the last axis of x.

    Training s and V in place of W gives each output its own step size. The initial W is what
    `init_weight` draws, whatever s is.

    Args:
        in_dims: size of the last axis of the input.
        out_dims: size of the last axis of the output.
        activation: elementwise function.
        mean, stddev: of the normal distribution from which s is drawn.
        use_bias: whether there is a bias b.
        init_weight: initialiser of W, from which V = diag(exp(-s)) W.
        init_bias: initialiser of b.
        precision: of the matrix product, as in `Dense`.

    Inputs: x (..., in_dims).

    Returns: y (..., out_dims) in the widest of the dtypes of x and the parameters.

    Parameters: log_scale (out_dims,), which is s; direction (out_dims, in_dims), which is V; bias
        (out_dims,).

    Raises:
        ValueError: sizes below 1; a stddev below 0; x of another shape.
        TypeError: a size is not an integer.

    Source: arXiv 2210.01274, eq. 5 and algorithm 1, with its mean 1, standard deviation 0.1 and
        Glorot's scheme.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.RandomWeightFactorization(2, 3, nn.tanh)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape, list(ps)
        ((5, 3), ['log_scale', 'direction', 'bias'])
    """

    in_dims: int
    out_dims: int
    activation: Callable[[Array], Array] = identity
    _: dataclasses.KW_ONLY
    mean: float = 1.0
    stddev: float = 0.1
    use_bias: bool = True
    init_weight: Initializer = glorot_uniform
    init_bias: Initializer = zeros
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes and the standard deviation."""
        check_sizes(self, "in_dims", "out_dims")
        check_precision(self)
        check_number("RandomWeightFactorization", "mean", self.mean)
        check_number("RandomWeightFactorization", "stddev", self.stddev, least=0)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The logarithms of the scales, the directions, and the bias if it is used."""
        shape = (self.out_dims, self.in_dims)
        weight = self.init_weight(jax.random.fold_in(key, 0), shape, dtype)
        draw = normal(mean=self.mean, std=self.stddev)
        log_scale = draw(jax.random.fold_in(key, 1), shape[:1], dtype)
        direction = weight * jnp.expand_dims(jnp.exp(-log_scale), -1)
        ps = Record(log_scale=log_scale, direction=direction)
        if not self.use_bias:
            return ps
        return ps | {"bias": self.init_bias(jax.random.fold_in(key, 2), shape[:1], dtype)}

    def __call__(
        self, x: Inexact[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "... out_dims"], States]:
        """The output, and `st` as it was."""
        check_last_axis(self, x)
        x, log_scale, direction = promote(x, ps.log_scale, ps.direction)
        scale = jnp.expand_dims(jnp.exp(log_scale), -1)
        weight = accumulating(jnp.multiply, scale, direction)
        bias = ps.bias if self.use_bias else None
        y = fused_dense_bias_activation(self.activation, weight, x, bias, precision=self.precision)
        return y, st
