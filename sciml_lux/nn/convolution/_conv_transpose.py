"""ConvTranspose: the transpose of a convolution, with an activation."""

import dataclasses

from jaxtyping import Array

from ...initializers import Initializer, glorot_uniform, zeros
from ...ops import bias_activation, conv_transpose
from ...ops.internal import Padding, PerAxis, per_axis, windows
from ._conv_layer import ConvLayer
from ._same_pad import SamePad


class ConvTranspose(ConvLayer):
    """y = activation(Cᵀ x + b), with C the linear map of `Conv` from out_dims to in_dims.

    C has the same weight and options, so that this layer restores the input size of that `Conv`.
    Only `SamePad` means another padding here than there: (k - 1) dilation + 1 - stride in total,
    which multiplies the size by the stride. C has that padding, so for a stride above 1 it is not
    the `Conv` with `SamePad`.

    Args:
        kernel_size: k, one number for each of 1 to 3 spatial axes.
        in_dims: channels of the input.
        out_dims: channels of the output.
        activation: elementwise function.
        stride: as in `Conv`.
        padding: as in `Conv`; it shortens the output.
        dilation: as in `Conv`.
        groups: as in `Conv`.
        use_bias: whether b is there.
        cross_correlation: as in `Conv`.
        init_weight: initialiser of the weight; `glorot_uniform` by default.
        init_bias: initialiser of b; `zeros` by default.
        precision: of the products, as in `Dense`.
        outpad: how many elements are added at the high end of the output; one number, or one for
            each axis, below the stride. It chooses among the sizes that `Conv` maps to the same one
            if the stride is above 1.

    Inputs: x (batch, *spatial, in_dims), as in `Conv`.

    Returns: y (batch, *restored, out_dims), with
        (size - 1) stride + 1 + (k - 1) dilation - padding + outpad along each axis, in the widest
        of the dtypes of x and the parameters.

    Parameters: weight (in_dims, out_dims / groups, *kernel_size), bias (out_dims,).

    Raises:
        ValueError: as in `Conv`; more padding than the output has elements to remove; `SamePad`
            with a stride longer than the kernel.
        TypeError: as in `Conv`.
        EltypeMismatchError: as in `Dense`.

    Source: `ConvTranspose` of Lux 1.31, whose documentation gives two defaults for the weight; ours
        is the one in its signature and its code. See `SamePad` for a difference in size.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> model = nn.ConvTranspose((3, 3), 2, 4, stride=2, padding=nn.SamePad())
        >>> ps, st = setup(jax.random.key(0), model)
        >>> y, st = model(jnp.ones((5, 8, 8, 2), jnp.float32), ps, st)
        >>> y.shape, model
        ((5, 16, 16, 4), ConvTranspose((3, 3), 2, 4, stride=2, padding=SamePad()))
    """

    _: dataclasses.KW_ONLY
    outpad: PerAxis = 0

    def __post_init__(self) -> None:
        """Check the options."""
        super().__post_init__()
        where = windows("ConvTranspose", self.kernel_size, self.stride, 0, self.dilation)
        outpad = per_axis("ConvTranspose", "outpad", self.outpad, len(where.size), least=0)
        if any(more >= step for more, step in zip(outpad, where.stride, strict=True)):
            raise ValueError(
                f"`ConvTranspose` expects `outpad` below the stride, got {self.outpad} and stride "
                f"{self.stride}."
            )
        short = any(reach < step for reach, step in zip(where.reach, where.stride, strict=True))
        if isinstance(self.padding, SamePad) and short:
            raise ValueError(
                "`ConvTranspose` expects `SamePad()` to come with a kernel at least as long as the "
                f"stride, got {where.reach}, dilation included, and stride {self.stride}. Use "
                "`padding` and `outpad`."
            )

    def _weight_shape(self) -> tuple[int, ...]:
        return (self.in_dims, self.out_dims // self.groups, *self.kernel_size)

    def _initializers(self) -> tuple[Initializer, Initializer]:
        return self.init_weight or glorot_uniform, self.init_bias or zeros

    def _convolved(self, x: Array, weight: Array, bias: Array | None) -> Array:
        y = conv_transpose(
            x,
            weight,
            stride=self.stride,
            padding=self._padding(),
            outpad=self.outpad,
            dilation=self.dilation,
            groups=self.groups,
            cross_correlation=self.cross_correlation,
            precision=self.precision,
        )
        return bias_activation(self.activation, y, bias)

    def _padding(self) -> Padding:
        if not isinstance(self.padding, SamePad):
            return self.padding
        where = windows("ConvTranspose", self.kernel_size, self.stride, 0, self.dilation)
        return self.padding.pairs(
            reach - step for reach, step in zip(where.reach, where.stride, strict=True)
        )
