"""FNOBlock: the layer of a Fourier neural operator."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Float

from ...core import LayerLike, Parameters, States, apply
from ...core.internal import subject
from ...ops import gelu
from ...precision import promote
from .._array_check import check_array
from .._precision import Precision, check_precision
from .._sizes import check_sizes
from ..containers._composite_layer import CompositeLayer
from ..linear._dense import Dense
from ._spectral_conv import SpectralConv


class FNOBlock(CompositeLayer):
    """y = activation(K x + W x + b), with a `SpectralConv` K and a `Dense` at every point.

    Args:
        in_dims: channels of the input.
        out_dims: channels of the output.
        modes: of the `SpectralConv`.
        activation: elementwise function.
        precision: of the products of both maps, as in `Dense`.

    Inputs: x (..., *spatial, in_dims), float32 or float64.

    Returns: y (..., *spatial, out_dims) in the widest of the dtypes of x and the parameters.

    Parameters: `spectral`: those of the `SpectralConv`; `pointwise`: those of the `Dense`.

    Raises:
        ValueError, TypeError: those of `SpectralConv`.

    Source: arXiv 2010.08895, eq. 2.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.FNOBlock(2, 3, 4)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 16, 2), jnp.float32), ps, st)[0].shape, list(ps)
        ((5, 16, 3), ['spectral', 'pointwise'])
    """

    in_dims: int
    out_dims: int
    modes: tuple[int, ...]
    activation: Callable[[Array], Array] = gelu
    _: dataclasses.KW_ONLY
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes, and build the two maps."""
        if isinstance(self.modes, list | int):
            modes = tuple(self.modes) if isinstance(self.modes, list) else (self.modes,)
            object.__setattr__(self, "modes", modes)
        check_sizes(self, "in_dims", "out_dims", "modes")
        check_precision(self)
        super().__post_init__()

    def made_layers(self) -> dict[str, LayerLike]:
        """The two maps by name."""
        return {
            "spectral": SpectralConv(
                self.in_dims, self.out_dims, self.modes, precision=self.precision
            ),
            "pointwise": Dense(self.in_dims, self.out_dims, precision=self.precision),
        }

    def __call__(
        self, x: Float[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Float[Array, "... out_dims"], States]:
        """The output, and the states of both maps."""
        check_array(self, x)
        num_axes = len(self.modes)
        if x.ndim <= num_axes or x.shape[-1] != self.in_dims:
            raise ValueError(
                f"{subject(self)} expects `x` (..., *spatial, {self.in_dims}) with {num_axes} "
                f"spatial axes for `modes` {self.modes}, got shape {x.shape}."
            )
        (_, spectral), (_, pointwise) = self.layers
        global_part, first = apply(spectral, x, ps.spectral, st.spectral)
        local_part, second = apply(pointwise, x, ps.pointwise, st.pointwise)
        global_part, local_part = promote(global_part, local_part)
        y = self.activation(global_part + local_part)
        return y, st | {"spectral": first, "pointwise": second}
