"""PirateNet: a deep network for differential equations that is initially linear in its features."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Inexact, PyTree

from ...core import Layer, LayerLike, Parameters, States, apply
from ...core.internal import check_number
from ...ops import tanh
from .._last_axis import check_last_axis
from .._precision import Precision, check_precision, with_precision
from .._sizes import check_sizes
from ..containers._composite_layer import CompositeLayer
from ..embedding._fourier_features import FourierFeatures
from ..linear._dense import Dense
from ._pirate_net_block import PirateNetBlock


class PirateNet(CompositeLayer):
    """y = W xₙ with x₀ = Φ(x), xₗ₊₁ = block(xₗ, u, v), u = σ(Wᵤ Φ(x) + bᵤ), v = σ(Wᵥ Φ(x) + bᵥ).

    Φ are Fourier features and the blocks are `PirateNetBlock`s. Their α are initially 0, so that
    the network is initially y = W Φ(x): a linear model, whose W can be fitted by least squares to
    known data, such as an initial condition.

    Args:
        in_dims: size of the last axis of the input.
        hidden_dims: number of features and size of every layer, even.
        out_dims: size of the last axis of the output.
        num_blocks: number of blocks.
        activation: elementwise function σ.
        scale: of the Fourier features.
        dense: function (in_dims, out_dims, activation) that makes the dense layers of the blocks
            and gates, such as nn.RandomWeightFactorization.
        precision: of all matrix products, as in `Dense`; unless it is "highest", it is passed to
            `dense` as the keyword `precision`.

    Inputs: x (..., in_dims), floating.

    Returns: y (..., out_dims) in the widest of the dtypes.

    Parameters: `gate_u`, `gate_v`, `block_1`, `block_2`, ..., `output`, the last one without bias.

    States: those of the Fourier features under `embedding`.

    Raises:
        ValueError: sizes below 1, an odd `hidden_dims`, a scale that is not positive; x of another
            shape.
        TypeError: a size is not an integer.

    Source: arXiv 2402.00326, section 4; its features lack the factor 2π of ours.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.PirateNet(2, 16, 1, 3)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((5, 2), jnp.float32), ps, st)[0].shape
        (5, 1)
    """

    in_dims: int
    hidden_dims: int
    out_dims: int
    num_blocks: int
    activation: Callable[[Array], Array] = tanh
    _: dataclasses.KW_ONLY
    scale: float = 1.0
    dense: Callable[..., Layer] = Dense
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes, and build the layers."""
        sizes = ("in_dims", "hidden_dims", "out_dims", "num_blocks")
        check_sizes(self, *sizes)
        check_precision(self)
        if self.hidden_dims % 2:
            raise ValueError(
                "`PirateNet` expects `hidden_dims` to be even, for as many sines as cosines, got "
                f"{self.hidden_dims}."
            )
        check_number("PirateNet", "scale", self.scale, above=0)
        super().__post_init__()

    def made_layers(self) -> dict[str, LayerLike]:
        """The layers by name."""
        size = self.hidden_dims
        dense = with_precision(self.dense, self.precision)
        block = PirateNetBlock(
            size, size, self.activation, dense=self.dense, precision=self.precision
        )
        return {
            "embedding": FourierFeatures(
                self.in_dims, size // 2, scale=self.scale, precision=self.precision
            ),
            "gate_u": dense(size, size, self.activation),
            "gate_v": dense(size, size, self.activation),
            **{f"block_{i}": block for i in range(1, self.num_blocks + 1)},
            "output": Dense(size, self.out_dims, use_bias=False, precision=self.precision),
        }

    def __call__(
        self, x: Inexact[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "... out_dims"], States]:
        """The output, and the states of all layers."""
        check_last_axis(self, x)
        layers, states = self.sublayers(), {}

        def run(name: str, x: PyTree) -> Array:
            y, states[name] = apply(layers[name], x, getattr(ps, name), getattr(st, name))
            return y

        features = run("embedding", x)
        gates = run("gate_u", features), run("gate_v", features)
        y = features
        for i in range(1, self.num_blocks + 1):
            y = run(f"block_{i}", (y, *gates))
        return run("output", y), st | states
