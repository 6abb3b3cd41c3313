"""PirateNetBlock: a gated residual block that is initially the identity."""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Inexact

from ...core import Key, Layer, LayerLike, Parameters, States, apply
from ...core.internal import describe, subject
from ...ops import tanh
from ...precision import accumulating, promote
from .._precision import Precision, check_precision, with_precision
from .._sizes import check_sizes
from ..containers._composite_layer import CompositeLayer
from ..linear._dense import Dense


class PirateNetBlock(CompositeLayer):
    """y = α h + (1 - α) x, where h is the output of three dense layers with gates u and v.

    f = σ(W₁x + b₁), g = σ(W₂ z₁ + b₂), h = σ(W₃ z₂ + b₃), with z₁ = f u + (1 - f) v and
    z₂ = g u + (1 - g) v. The trainable α is initially 0, so that the block is initially y = x, and
    a deep network is initially a shallow one.

    Args:
        in_dims: size of the last axis of x and of the output.
        hidden_dims: size of the last axis of u and v.
        activation: elementwise function σ.
        dense: function (in_dims, out_dims, activation) that makes the dense layers, such as
            nn.RandomWeightFactorization.
        precision: of the matrix products, as in `Dense`; unless it is "highest", it is passed to
            `dense` as the keyword `precision`.

    Inputs: the tuple (x, u, v) of shapes (..., in_dims), (..., hidden_dims), (..., hidden_dims).

    Returns: y (..., in_dims) in the widest of the dtypes.

    Parameters: `dense_1`, `dense_2`, `dense_3`; alpha ().

    Raises:
        ValueError: sizes below 1; the input is not a triple, or has other shapes.
        TypeError: a size is not an integer.

    Source: arXiv 2402.00326, eqs. 4.2 to 4.7.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.PirateNetBlock(2, 4)
        >>> x, u = jnp.ones((5, 2), jnp.float32), jnp.ones((5, 4), jnp.float32)
        >>> y, st = model((x, u, -u), *setup(jax.random.key(0), model))
        >>> bool((y == x).all())
        True
    """

    in_dims: int
    hidden_dims: int
    activation: Callable[[Array], Array] = tanh
    _: dataclasses.KW_ONLY
    dense: Callable[..., Layer] = Dense
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes, and build the dense layers."""
        check_sizes(self, "in_dims", "hidden_dims")
        check_precision(self)
        super().__post_init__()

    def made_layers(self) -> dict[str, LayerLike]:
        """The dense layers by name."""
        sizes = (self.in_dims, self.hidden_dims, self.hidden_dims, self.in_dims)
        dense = with_precision(self.dense, self.precision)
        return {f"dense_{i + 1}": dense(sizes[i], sizes[i + 1], self.activation) for i in range(3)}

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Those of the dense layers, and α = 0."""
        return super().initial_parameters(key, dtype) | {"alpha": jnp.zeros((), dtype)}

    def __call__(
        self, x: tuple[Array, Array, Array], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "... in_dims"], States]:
        """The output, and the states of the dense layers."""
        parts = x if isinstance(x, tuple) else (x,)
        shapes = [getattr(part, "shape", None) for part in parts]
        leading = (shapes[0] or ())[:-1] if shapes else ()
        sizes = (self.in_dims, self.hidden_dims, self.hidden_dims)
        if shapes != [(*leading, size) for size in sizes]:
            raise ValueError(
                f"{subject(self)} expects the tuple (x, u, v) of shapes (..., {sizes[0]}), (..., "
                f"{sizes[1]}) and (..., {sizes[2]}) with the same leading axes, got "
                f"{', '.join(map(describe, parts)) or 'nothing'}."
            )
        y, u, v = x
        states = {}
        for name, layer in self.layers:
            y, states[name] = apply(layer, y, getattr(ps, name), getattr(st, name))
            if name != "dense_3":
                y, u, v = promote(y, u, v)
                y = y * u + (1 - y) * v
        y, same, alpha = promote(y, x[0], ps.alpha)
        return accumulating(_mixed, y, same, alpha), st | states


def _mixed(y: Array, same: Array, alpha: Array) -> Array:
    return alpha * y + (1 - alpha) * same
