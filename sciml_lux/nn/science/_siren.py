"""SIREN: a network of sines."""

import dataclasses
import functools
import math

from jaxtyping import Array, Inexact

from ...core import Layer, LayerLike, Parameters, States
from ...core.internal import check_number
from ...initializers import uniform
from .._last_axis import check_last_axis
from .._precision import Precision, check_precision
from .._sizes import check_sizes
from ..containers._chain import Chain
from ..containers._composite_layer import CompositeLayer
from ..linear._dense import Dense
from ._sine_dense import SineDense


class SIREN(CompositeLayer):
    """y = W h + b with h = φₙ(... φ₁(x)) and φ(x) = sin(omega (W x + b)).

    Derivatives of a SIREN are SIRENs again, to any order, which suits losses with derivatives.

    Args:
        in_dims: size of the last axis of the input.
        hidden_dims: size of each hidden layer, such as (64, 64).
        out_dims: size of the last axis of the output.
        omega_first: omega of the first layer, large enough that inputs in [-1, 1] span many
            periods.
        omega: omega of the other layers.
        precision: of the matrix products, as in `Dense`.

    Inputs: x (..., in_dims).

    Returns: y (..., out_dims) in the widest of the dtypes of x and the parameters.

    Parameters: `layer_1`, `layer_2`, ...: those of a `SineDense` for each hidden layer, and of a
        `Dense` without activation, whose initial weight is like theirs, U(±√(6/in_dims)/omega).

    Raises:
        ValueError: no `hidden_dims`, sizes below 1, an omega that is not positive; x of another
            shape.
        TypeError: a size is not an integer.

    Source: arXiv 2006.09661, section 3.2 and the supplement 1.5.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.SIREN(2, (16, 16), 1)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape
        (5, 1)
    """

    in_dims: int
    hidden_dims: tuple[int, ...]
    out_dims: int
    _: dataclasses.KW_ONLY
    omega_first: float = 30.0
    omega: float = 30.0
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check sizes and frequencies, and build the layers."""
        if isinstance(self.hidden_dims, list):
            object.__setattr__(self, "hidden_dims", tuple(self.hidden_dims))
        check_sizes(self, "in_dims", "hidden_dims", "out_dims")
        check_precision(self)
        for name in ("omega_first", "omega"):
            check_number("SIREN", name, getattr(self, name), above=0)
        super().__post_init__()

    @functools.cached_property
    def chain(self) -> Chain:
        """The layers in a chain."""
        return Chain(**self.sublayers())

    def made_layers(self) -> dict[str, LayerLike]:
        """A sine layer for each hidden size, and a linear one."""
        sine = functools.partial(SineDense, precision=self.precision)
        layers: list[Layer] = [
            sine(self.in_dims, self.hidden_dims[0], self.omega_first, is_first=True)
        ]
        for before, after in zip(self.hidden_dims, self.hidden_dims[1:], strict=False):
            layers.append(sine(before, after, self.omega))
        last = self.hidden_dims[-1]
        bound = math.sqrt(6.0 / last) / self.omega
        init_weight = uniform(bound=bound)
        layers.append(Dense(last, self.out_dims, init_weight=init_weight, precision=self.precision))
        return {f"layer_{i}": layer for i, layer in enumerate(layers, start=1)}

    def __call__(
        self, x: Inexact[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "... out_dims"], States]:
        """The output of the last layer."""
        check_last_axis(self, x)
        return self.chain(x, ps, st)
