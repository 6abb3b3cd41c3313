"""SpectralConv: a linear map on the low Fourier modes."""

import dataclasses

import jax
import numpy as np
from jaxtyping import Array, Float

from ...core import Key, Layer, Parameters, Record, States
from ...core.internal import subject
from ...initializers import Initializer
from ...ops import spectral_convolution
from ...precision.internal import draw_dtype, rounded
from .._array_check import check_array
from .._precision import Precision, check_precision
from .._sizes import check_sizes


class SpectralConv(Layer):
    """y = F⁻¹(R · F(x)): each low Fourier mode of x is multiplied by its own complex matrix.

    The modes do not depend on the grid: on a finer grid the layer maps the same function to the
    same function, provided that the coarser grid resolves all its modes. It commutes with
    translations.

    Args:
        in_dims: channels of the input.
        out_dims: channels of the output.
        modes: the number of frequencies along each spatial axis, a tuple with one entry for each
            (an integer for one axis): m stands for 0, ..., m - 1 along the last spatial axis and
            -m, ..., m - 1 along the others. The opposite frequencies of a real function follow.
        init_weight: initialiser of real and imaginary parts; by default U(0, 1/(in_dims out_dims)).
        precision: of the products with R, as in `Dense`.

    Inputs: x (..., *spatial, in_dims), float32 or float64, on a uniform periodic grid with at least
        2m points along each spatial axis, 2(m - 1) along the last.

    Returns: y (..., *spatial, out_dims) in the widest of the dtypes of x and the parameters.

    Parameters: weight (2, out_dims, in_dims, 2m₁, ..., mₙ): real and imaginary part of R, the
        negative frequencies after the others. It is one real array, so that optimisers work with
        real numbers.

    Raises:
        ValueError: sizes below 1; x of another shape, or with too few points for the modes.
        TypeError: a size is not an integer; float16 or bfloat16, for which there is no FFT.

    Source: arXiv 2010.08895, section 4.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.SpectralConv(2, 3, (4, 4))
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 16, 16, 2), jnp.float32), ps, st)[0].shape
        (5, 16, 16, 3)
    """

    in_dims: int
    out_dims: int
    modes: tuple[int, ...]
    _: dataclasses.KW_ONLY
    init_weight: Initializer | None = None
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes."""
        if isinstance(self.modes, list | int):
            modes = tuple(self.modes) if isinstance(self.modes, list) else (self.modes,)
            object.__setattr__(self, "modes", modes)
        check_sizes(self, "in_dims", "out_dims", "modes")
        check_precision(self)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The weight."""
        kept = (*(2 * m for m in self.modes[:-1]), self.modes[-1])
        shape = (2, self.out_dims, self.in_dims, *kept)
        key = jax.random.fold_in(key, 0)
        if self.init_weight is not None:
            return Record(weight=self.init_weight(key, shape, dtype))
        drawn = jax.random.uniform(key, shape, draw_dtype(dtype))
        return Record(weight=rounded(drawn / (self.in_dims * self.out_dims), dtype))

    def __call__(
        self, x: Float[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... out_dims"], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        num_axes = len(self.modes)
        if x.ndim <= num_axes or x.shape[-1] != self.in_dims:
            raise ValueError(
                f"{subject(self)} expects `x` (..., *spatial, {self.in_dims}) with {num_axes} "
                f"spatial axes for `modes` {self.modes}, got shape {x.shape}."
            )
        return spectral_convolution(x, ps.weight, precision=self.precision), st
