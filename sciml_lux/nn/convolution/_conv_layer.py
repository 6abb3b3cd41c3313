"""What Conv and ConvTranspose have in common."""

import abc
import dataclasses
from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Inexact

from ...core import Key, Layer, Parameters, Record, States, layer_name
from ...core.internal import check_function, check_integer, subject
from ...initializers import Initializer
from ...ops import identity
from ...ops.internal import Padding, PerAxis, windows
from .._array_check import check_array
from .._last_axis import check_last_axis
from .._precision import Precision, check_precision
from ._same_pad import SamePad


class ConvLayer(Layer):
    """Base of the layers with a kernel that moves over the spatial axes."""

    kernel_size: tuple[int, ...]
    in_dims: int
    out_dims: int
    activation: Callable[[Array], Array] = identity
    _: dataclasses.KW_ONLY
    stride: PerAxis = 1
    padding: Padding | SamePad = 0
    dilation: PerAxis = 1
    groups: int = 1
    use_bias: bool = True
    cross_correlation: bool = False
    init_weight: Initializer | None = None
    init_bias: Initializer | None = None
    precision: Precision = "highest"

    def __post_init__(self) -> None:
        """Check the sizes and the activation."""
        name = layer_name(self)
        for field, least in (("in_dims", 0), ("out_dims", 0), ("groups", 1)):
            check_integer(name, field, getattr(self, field), least=least)
        check_function(name, "activation", self.activation, such_as="nn.tanh")
        check_precision(self)
        if self.in_dims % self.groups or self.out_dims % self.groups:
            raise ValueError(
                f"`{name}` expects `groups` to divide `in_dims` and `out_dims`, "
                f"got {self.groups} for {self.in_dims} and {self.out_dims}."
            )
        padding = 0 if isinstance(self.padding, SamePad) else self.padding
        windows(name, self.kernel_size, self.stride, padding, self.dilation)

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """Weight, and bias where it is used."""
        init_weight, init_bias = self._initializers()
        weight = init_weight(jax.random.fold_in(key, 0), self._weight_shape(), dtype)
        if not self.use_bias:
            return Record(weight=weight)
        return Record(
            weight=weight, bias=init_bias(jax.random.fold_in(key, 1), (self.out_dims,), dtype)
        )

    def __call__(
        self, x: Inexact[Array, "batch *spatial in_dims"], ps: Parameters, st: States
    ) -> tuple[Inexact[Array, "batch *convolved out_dims"], States]:
        """The output, and `st` as it was."""
        check_array(self, x)
        axes = len(self.kernel_size)
        if x.ndim != axes + 2:
            raise ValueError(
                f"{subject(self)} expects `x` (batch, *spatial, in_dims) with {axes} spatial axes "
                f"for kernel_size {self.kernel_size}, got shape {x.shape}. Add a batch axis if it "
                "lacks one: x[None]."
            )
        check_last_axis(self, x, "(batch, *spatial, in_dims)")
        if ps.weight.shape != self._weight_shape():
            raise ValueError(
                f"{subject(self)} expects the parameter `weight` to be {self._weight_shape()}, got "
                f"shape {ps.weight.shape}. Pass the parameters that setup(key, model) made for "
                "this model."
            )
        return self._convolved(x, ps.weight, ps.bias if self.use_bias else None), st

    @abc.abstractmethod
    def _weight_shape(self) -> tuple[int, ...]:
        """(rows, columns / groups, *kernel_size)."""

    @abc.abstractmethod
    def _initializers(self) -> tuple[Initializer, Initializer]:
        """The initialisers of weight and bias."""

    @abc.abstractmethod
    def _convolved(self, x: Array, weight: Array, bias: Array | None) -> Array:
        """The output."""
