"""MLP: dense layers one after another, with normalisation, dropout and residual connections."""

import dataclasses
import functools
import operator
from collections.abc import Callable

from jaxtyping import Array, Inexact

from ...core import Layer, LayerLike, Parameters, States
from ...core.internal import check_function, check_number
from ...initializers import Initializer
from ...ops import identity, relu
from .._last_axis import check_last_axis
from .._precision import Precision, check_precision
from .._sizes import check_sizes
from ..containers._chain import Chain
from ..containers._composite_layer import CompositeLayer
from ..containers._skip_connection import SkipConnection
from ..dropout._dropout import Dropout
from ..linear._dense import Dense


class MLP(CompositeLayer):
    """y = block_n(... block_1(x)), each block dense, then norm, then activation, then dropout.

    Args:
        in_dims: size of the last axis of the input.
        hidden_dims: size of the last axis after each block; the last size is that of the output.
        activation: elementwise function, in all blocks but the last.
        norm_layer: function from a size to a normalisation layer, such as nn.LayerNorm; None for no
            normalisation.
        dropout_rate: probability of dropping a number; 0 for no dropout.
        use_bias, init_weight, init_bias, precision: options of every `Dense`.
        last_layer_activation: whether the last block has the activation too.
        residual_connection: whether the input of each block that preserves the size is added to its
            output.

    Inputs: x (..., in_dims).

    Returns: y (..., hidden_dims[-1]) in the widest of the dtypes of x and the parameters.

    Parameters and States: `block1`, `block2`, ...: those of a `Dense`; with `norm_layer` or dropout
        those of a chain with `dense`, `norm`, `activation` and `dropout`, as far as they are used.

    Raises:
        ValueError: no `hidden_dims`, a size below 1, a rate outside [0, 1]; x of another shape.
        TypeError: a size is not an integer; `activation` or `norm_layer` is not a function.

    Source: `MLP` of Boltz 1.7, where `norm_layer` takes (block number, size, activation).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.MLP(2, (8, 8, 1), nn.tanh, residual_connection=True)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> model(jnp.ones((3, 2), jnp.float32), ps, st)[0].shape, list(ps)
        ((3, 1), ['block1', 'block2', 'block3'])
    """

    in_dims: int
    hidden_dims: tuple[int, ...]
    activation: Callable[[Array], Array] = relu
    _: dataclasses.KW_ONLY
    norm_layer: Callable[[int], Layer] | None = None
    dropout_rate: float = 0.0
    use_bias: bool = True
    init_weight: Initializer | None = None
    init_bias: Initializer | None = None
    precision: Precision = "highest"
    last_layer_activation: bool = False
    residual_connection: bool = False

    def __post_init__(self) -> None:
        """Check sizes and functions, and build the blocks."""
        if isinstance(self.hidden_dims, list):
            object.__setattr__(self, "hidden_dims", tuple(self.hidden_dims))
        check_sizes(self, "in_dims", "hidden_dims")
        check_precision(self)
        check_function("MLP", "activation", self.activation, such_as="nn.tanh")
        if not (self.norm_layer is None or callable(self.norm_layer)):
            raise TypeError(
                "`MLP` expects `norm_layer` to be a function that makes a layer of a size, such as "
                f"nn.LayerNorm, got {self.norm_layer!r}."
            )
        check_number("MLP", "dropout_rate", self.dropout_rate, least=0, most=1)
        super().__post_init__()

    @functools.cached_property
    def chain(self) -> Chain:
        """The blocks in a chain."""
        return Chain(**self.sublayers())

    def made_layers(self) -> dict[str, LayerLike]:
        """The blocks by name, in order."""
        sizes = (self.in_dims, *self.hidden_dims)
        last = len(self.hidden_dims)
        blocks = {}
        for i, (before, after) in enumerate(zip(sizes, self.hidden_dims, strict=False), start=1):
            active = i < last or self.last_layer_activation
            block = self._block(before, after, self.activation if active else identity)
            if self.residual_connection and before == after:
                block = SkipConnection(block, operator.add)
            blocks[f"block{i}"] = block
        return blocks

    def __call__(
        self, x: Inexact[Array, "... in_dims"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "... out_dims"], States]:
        """The output of the last block."""
        check_last_axis(self, x)
        return self.chain(x, ps, st)

    def _block(self, before: int, after: int, activation: Callable[[Array], Array]) -> Layer:
        dense = Dense(
            before,
            after,
            identity if self.norm_layer else activation,
            use_bias=self.use_bias,
            init_weight=self.init_weight,
            init_bias=self.init_bias,
            precision=self.precision,
        )
        if not (self.norm_layer or self.dropout_rate):
            return dense
        named: dict[str, LayerLike] = {"dense": dense}
        if self.norm_layer:
            named["norm"] = self.norm_layer(after)
            if activation is not identity:
                named["activation"] = activation
        if self.dropout_rate:
            named["dropout"] = Dropout(self.dropout_rate)
        return Chain(**named)
