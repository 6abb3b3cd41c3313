"""TensorProductLayer: products of one-dimensional bases, combined linearly."""

import dataclasses
import math

import jax
import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import subject
from ...initializers import Initializer, normal
from ...ops import fused_dense_bias_activation, identity, kronecker_product
from ...precision import promote
from .._array_check import check_array
from .._precision import Precision, check_precision
from .._sizes import check_sizes
from ._basis import Basis


class TensorProductLayer(Layer):
    """y = W (B₁(x₁) ⊗ ... ⊗ Bₖ(xₖ)), over the last axis of x, with fixed bases B.

    Args:
        basis_functions: a `Basis` for each input, such as (Chebyshev(4), Fourier(3)).
        out_dims: size of the last axis of the output.
        init_weight: initialiser of W; by default N(0, 1).
        precision: of the product with W, as in `Dense`.

    Inputs: x (..., len(basis_functions)).

    Returns: y (..., out_dims) in the widest of the dtypes of x and the parameters.

    Parameters: weight (out_dims, n₁ ... nₖ), whose columns are ordered as `numpy.kron` orders
        them: the last basis varies fastest.

    Raises:
        ValueError: no bases; `out_dims` below 1; x of another shape.
        TypeError: `basis_functions` is not a tuple of bases.

    Source: `TensorProductLayer` of Boltz 1.7. Its documentation has the same order; in its code the
        first basis varies fastest.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.TensorProductLayer((nn.Chebyshev(4), nn.Legendre(3)), 2)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape, ps.weight.shape
        ((5, 2), (2, 12))
    """

    basis_functions: tuple[Basis, ...]
    out_dims: int
    _: dataclasses.KW_ONLY
    init_weight: Initializer | None = None
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the bases and the size."""
        if isinstance(self.basis_functions, list):
            object.__setattr__(self, "basis_functions", tuple(self.basis_functions))
        bases = self.basis_functions
        if not isinstance(bases, tuple) or not all(isinstance(b, Basis) for b in bases):
            raise TypeError(
                "`TensorProductLayer` expects `basis_functions` to be a tuple of bases such as "
                f"(nn.Chebyshev(4), nn.Sin(3)), got {bases!r}."
            )
        if not bases:
            raise ValueError(
                "`TensorProductLayer` expects a basis for each input in `basis_functions`, got ()."
            )
        check_sizes(self, "out_dims")
        check_precision(self)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The weight."""
        init_weight = self.init_weight or normal
        columns = math.prod(basis.n for basis in self.basis_functions)
        return Record(
            weight=init_weight(jax.random.fold_in(key, 0), (self.out_dims, columns), dtype)
        )

    def __call__(
        self, x: Float[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... out_dims"], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        count = len(self.basis_functions)
        if x.ndim == 0 or x.shape[-1] != count:
            raise ValueError(
                f"{subject(self)} expects the last axis of `x` to be {count}, one for each of "
                f"`basis_functions`, got shape {x.shape}."
            )
        x, weight = promote(x, ps.weight)
        factors = [basis(x[..., i]) for i, basis in enumerate(self.basis_functions)]
        products = kronecker_product(*factors)
        y = fused_dense_bias_activation(identity, weight, products, precision=self.precision)
        return y, st
