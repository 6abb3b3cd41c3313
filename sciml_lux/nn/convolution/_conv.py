"""Conv: convolution with an activation."""

import dataclasses
import math

from jaxtyping import Array

from ...initializers import Initializer, kaiming_uniform, uniform
from ...ops import fused_conv_bias_activation
from ...ops.internal import PaddingMode
from ..linear._gain import gain
from ._conv_layer import ConvLayer
from ._same_pad import padded_windows


class Conv(ConvLayer):
    """y[b, i, o] = activation(Σ_c Σ_j W[o, c, k - 1 - j] x[b, stride i + dilation j, c] + b[o]).

    This is convolution: the kernel is flipped. `cross_correlation` takes W[o, c, j].

    Args:
        kernel_size: k, one number for each of 1 to 3 spatial axes.
        in_dims: channels of the input.
        out_dims: channels of the output.
        activation: elementwise function.
        stride: from one window to the next; one number, or one for each axis.
        padding: how much is added around x: an integer; or a tuple with an integer or a pair
            (low, high) for each axis; or `SamePad()`.
        dilation: distance in x between neighbours in the kernel; one number, or one for each axis.
        groups: into how many parts the channels are split; each part of the output depends only on
            its part of the input. With `in_dims` groups this is a depthwise convolution.
        use_bias: whether b is there.
        cross_correlation: whether the kernel is not flipped, as in PyTorch.
        init_weight: initialiser of W; by default U(±gain √(3/fan)), with fan = in_dims / groups
            times the size of the kernel, and the gain as in `Dense`.
        init_bias: initialiser of b; by default U(±1/√fan).
        precision: of the products, as in `Dense`.
        padding_mode: what is added: "constant" for zeros, "reflect" for a mirror image, "circular"
            for a periodic one, as on a torus.

    Inputs: x (batch, *spatial, in_dims), floating or complex; integers are taken in the
        parameters' dtype.

    Returns: y (batch, *convolved, out_dims), with
        ⌊(size + padding - (k - 1) dilation - 1) / stride⌋ + 1 along each axis, in the widest of the
        dtypes of x and the parameters.

    Parameters: weight (out_dims, in_dims / groups, *kernel_size), bias (out_dims,).

    Raises:
        ValueError: options that contradict each other; x or a parameter of another shape, or x
            smaller than the kernel.
        TypeError: an option that is not of integers.
        EltypeMismatchError: as in `Dense`.

    Source: `Conv` of Lux 1.31, which pads only with zeros, and takes padding at both ends as one
        flat tuple.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.Conv((3, 3), 2, 4, nn.relu, padding=1)
        >>> ps, st = setup(jax.random.key(0), model)
        >>> y, st = model(jnp.ones((5, 8, 8, 2), jnp.float32), ps, st)
        >>> y.shape, model
        ((5, 8, 8, 4), Conv((3, 3), 2, 4, relu, padding=1))
    """

    _: dataclasses.KW_ONLY
    padding_mode: PaddingMode = "constant"

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        if self.padding_mode not in ("constant", "reflect", "circular"):
            raise ValueError(
                '`Conv` expects `padding_mode` to be "constant", "reflect" or "circular", got '
                f"{self.padding_mode!r}."
            )

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.out_dims, self.in_dims // self.groups, *self.kernel_size)

    def _initializers(self) -> tuple[Initializer, Initializer]:
        fan = math.prod(self._weight_shape()[1:])
        return (
            self.init_weight or kaiming_uniform(gain=gain(self.activation)),
            self.init_bias or uniform(bound=1.0 / math.sqrt(max(fan, 1))),
        )

    def _convolved(self, x: Array, weight: Array, bias: Array | None) -> Array:
        where = padded_windows("Conv", self.kernel_size, self.stride, self.padding, self.dilation)
        return fused_conv_bias_activation(
            self.activation,
            weight,
            x,
            bias,
            stride=where.stride,
            padding=where.padding,
            dilation=where.dilation,
            groups=self.groups,
            cross_correlation=self.cross_correlation,
            padding_mode=self.padding_mode,
            precision=self.precision,
        )
