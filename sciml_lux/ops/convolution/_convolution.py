"""Convolution and its transpose, with bias and activation."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Inexact

from ...core.internal import is_integer
from ...precision import promote
from .._op import op
from ..activations import bias_activation
from ._pad import pad_circular, pad_reflect
from ._windows import Padding, PerAxis, Windows, per_axis, windows

PaddingMode = Literal["constant", "reflect", "circular"]
_PADS = {"reflect": pad_reflect, "circular": pad_circular}


@op("x", "weight")
def conv(
    x: Inexact[Array, "batch *spatial in_dims"],
    weight: Inexact[Array, "out_dims group_dims *kernel"],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    cross_correlation: bool = False,
    padding_mode: PaddingMode = "constant",
    precision: jax.lax.Precision | str = jax.lax.Precision.HIGHEST,
) -> Inexact[Array, "batch *convolved out_dims"]:
    """y[b, i, o] = Σ_c Σ_j weight[o, c, k - 1 - j] x[b, stride i + dilation j, c], for x padded.

    This is convolution, in which the kernel is flipped; `cross_correlation` takes weight[o, c, j].

    Args:
        x: (batch, *spatial, in_dims) with 1 to 3 spatial axes.
        weight: (out_dims, in_dims / groups, *kernel).
        stride: from one window to the next; one number, or one for each spatial axis.
        padding: how much is added to `x`: an integer, or for each spatial axis an integer or a
            pair (low, high).
        dilation: distance in `x` of neighbours in the kernel.
        groups: into how many parts the channels are split; each part of the output sees its part
            of the input only.
        cross_correlation: whether the kernel is taken as it is, as PyTorch does.
        padding_mode: what is added: "constant" for zeros, "reflect" for a mirror image, "circular"
            for a periodic one.
        precision: of the products, as in `fused_dense_bias_activation`.

    Returns:
        (batch, *convolved, out_dims) in the wider of the dtypes, with
        ⌊(size + padding - (kernel - 1) dilation - 1) / stride⌋ + 1 along each axis.

    Raises:
        ValueError: the shapes do not fit each other, the groups or the kernel; an option out of
            bounds.
        TypeError: an option that is not of integers.

    Source: `conv` of NNlib, as Lux 1.31 exports it, which has zeros as padding only.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([1.0, 0.0, 0.0, 0.0], jnp.float32).reshape(1, 4, 1)
        >>> weight = jnp.asarray([1.0, 2.0, 3.0], jnp.float32).reshape(1, 1, 3)
        >>> conv(x, weight, padding=1)[0, :, 0].tolist()
        [2.0, 3.0, 0.0, 0.0]
    """
    if not 3 <= x.ndim == weight.ndim <= 5:
        raise ValueError(
            "`conv` expects `x` (batch, *spatial, in_dims) and `weight` (out_dims, in_dims / "
            f"groups, *kernel) with the same 1 to 3 spatial axes, got shapes {x.shape} and "
            f"{weight.shape}. Add a batch axis if `x` lacks one: x[None]."
        )
    if not is_integer(groups) or groups < 1 or weight.shape[0] % groups:
        raise ValueError(
            "`conv` expects `groups` of at least 1 that divides the out_dims of `weight` (out_dims,"
            f" in_dims / groups, *kernel), got {groups!r} and shape {weight.shape}."
        )
    if x.shape[-1] != weight.shape[1] * groups:
        raise ValueError(
            f"`conv` expects the last axis of `x` to be {weight.shape[1] * groups}, for `weight` "
            f"of shape {weight.shape} in {groups} groups, got shape {x.shape}."
        )
    if padding_mode not in ("constant", *_PADS):
        raise ValueError(
            '`conv` expects `padding_mode` to be "constant", "reflect" or "circular", got '
            f"{padding_mode!r}."
        )
    where = windows("conv", weight.shape[2:], stride, padding, dilation)
    where.counts("conv", x.shape[1:-1])
    pairs = where.padding
    if padding_mode in _PADS:
        x, pairs = _PADS[padding_mode](x, pairs), ((0, 0),) * len(pairs)
    x, weight = promote(x, weight)
    return jax.lax.conv_general_dilated(
        x,
        weight if cross_correlation else _flipped(weight),
        where.stride,
        pairs,
        rhs_dilation=where.dilation,
        dimension_numbers=_channels_last(x.ndim),
        feature_group_count=groups,
        precision=precision,
    )


@op("x", "weight")
def conv_transpose(
    x: Inexact[Array, "batch *spatial in_dims"],
    weight: Inexact[Array, "in_dims group_dims *kernel"],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    outpad: PerAxis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    cross_correlation: bool = False,
    precision: jax.lax.Precision | str = jax.lax.Precision.HIGHEST,
) -> Inexact[Array, "batch *restored out_dims"]:
    """The transpose of the linear map `conv` with the same weight and options.

    ⟨conv_transpose(x, w), y⟩ = ⟨x, conv(y, w)⟩, so it goes from the shapes that `conv` returns to
    those it takes.

    Args:
        x: (batch, *spatial, in_dims) with 1 to 3 spatial axes.
        weight: (in_dims, out_dims / groups, *kernel).
        stride: as in `conv`.
        padding: as in `conv`; it shortens the result.
        outpad: by how much the result is longer at its high end, less than the stride: with a
            stride above 1, `conv` maps several sizes to the same one.
        dilation: as in `conv`.
        groups: as in `conv`.
        cross_correlation: as in `conv`.
        precision: as in `conv`.

    Returns:
        (batch, *restored, out_dims) in the wider of the dtypes, with
        (size - 1) stride + 1 + (kernel - 1) dilation - padding + outpad along each axis.

    Raises:
        ValueError: the shapes do not fit each other or the groups; an option out of bounds; more
            padding than there is to take away.
        TypeError: an option that is not of integers.

    Source: `∇conv_data` of NNlib, by which `ConvTranspose` of Lux 1.31 is computed.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.asarray([1.0, 0.0], jnp.float32).reshape(1, 2, 1)
        >>> weight = jnp.asarray([1.0, 2.0, 3.0], jnp.float32).reshape(1, 1, 3)
        >>> conv_transpose(x, weight, stride=2)[0, :, 0].tolist()
        [3.0, 2.0, 1.0, 0.0, 0.0]
    """
    if not 3 <= x.ndim == weight.ndim <= 5:
        raise ValueError(
            "`conv_transpose` expects `x` (batch, *spatial, in_dims) and `weight` (in_dims, "
            "out_dims / groups, *kernel) with the same 1 to 3 spatial axes, got shapes "
            f"{x.shape} and {weight.shape}. Add a batch axis if `x` lacks one: x[None]."
        )
    if not is_integer(groups) or groups < 1 or weight.shape[0] % groups:
        raise ValueError(
            "`conv_transpose` expects `groups` of at least 1 that divides the in_dims of `weight` "
            f"(in_dims, out_dims / groups, *kernel), got {groups!r} and shape {weight.shape}."
        )
    if x.shape[-1] != weight.shape[0]:
        raise ValueError(
            f"`conv_transpose` expects the last axis of `x` to be {weight.shape[0]}, for `weight` "
            f"of shape {weight.shape}, got shape {x.shape}."
        )
    where = windows("conv_transpose", weight.shape[2:], stride, padding, dilation)
    x, weight = promote(x, weight)
    weight = _transposed(weight, groups)
    return jax.lax.conv_general_dilated(
        x,
        _flipped(weight) if cross_correlation else weight,
        (1,) * len(where.size),
        _ends(x, where, per_axis("conv_transpose", "outpad", outpad, len(where.size), least=0)),
        lhs_dilation=where.stride,
        rhs_dilation=where.dilation,
        dimension_numbers=_channels_last(x.ndim),
        feature_group_count=groups,
        precision=precision,
    )


@op("weight", "x", "bias")
def fused_conv_bias_activation(
    activation: Callable[[Array], Array],
    weight: Inexact[Array, "out_dims group_dims *kernel"],
    x: Inexact[Array, "batch *spatial in_dims"],
    bias: Inexact[Array, " out_dims"] | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    cross_correlation: bool = False,
    padding_mode: PaddingMode = "constant",
    precision: jax.lax.Precision | str = jax.lax.Precision.HIGHEST,
) -> Inexact[Array, "batch *convolved out_dims"]:
    """activation(conv(x, weight) + b), b over the last axis.

    Args:
        activation: elementwise function.
        weight: as in `conv`, and so are the options.
        x: as in `conv`.
        bias: (out_dims,), or None.
        stride: as in `conv`.
        padding: as in `conv`.
        dilation: as in `conv`.
        groups: as in `conv`.
        cross_correlation: as in `conv`.
        padding_mode: as in `conv`.
        precision: as in `conv`.

    Returns:
        As `conv`, in the widest of the dtypes.

    Raises:
        ValueError: as in `conv`; a bias of another shape.
        TypeError: as in `conv`.

    Source: `fused_conv_bias_activation` of LuxLib 1.15, with the options in place of `cdims`. XLA
        fuses bias and activation; the convolution is the library call of the platform.

    Example:
        >>> import jax.numpy as jnp
        >>> x, weight = jnp.ones((2, 5, 5, 3), jnp.float32), jnp.ones((4, 3, 2, 2), jnp.float32)
        >>> fused_conv_bias_activation(jnp.tanh, weight, x).shape
        (2, 4, 4, 4)
    """
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"`fused_conv_bias_activation` expects `bias` of shape {weight.shape[:1]}, got "
            f"{bias.shape}."
        )
    y = conv(
        x,
        weight,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        cross_correlation=cross_correlation,
        padding_mode=padding_mode,
        precision=precision,
    )
    return bias_activation(activation, y, bias)


def _flipped(weight: Array) -> Array:
    return jnp.flip(weight, tuple(range(2, weight.ndim)))


def _ends(x: Array, where: Windows, outpad: tuple[int, ...]) -> list[tuple[int, int]]:
    """The padding of the dilated input for which the result has the size that `conv` takes."""
    if any(more >= step for more, step in zip(outpad, where.stride, strict=True)):
        raise ValueError(
            "`conv_transpose` expects `outpad` below the stride, got "
            f"{outpad} and stride {where.stride}. Take less, or pad the result."
        )
    ends = [
        (reach - 1 - low, reach - 1 - high + more)
        for reach, (low, high), more in zip(where.reach, where.padding, outpad, strict=True)
    ]
    axes = zip(x.shape[1:-1], where.stride, where.reach, ends, strict=True)
    if any(n < 1 or (n - 1) * step + 1 + sum(end) < reach for n, step, reach, end in axes):
        raise ValueError(
            "`conv_transpose` expects less padding than there is to take away, got `x` of shape "
            f"{x.shape} with kernel {where.size} and padding {where.padding}. Pad less."
        )
    return ends


def _transposed(weight: Array, groups: int) -> Array:
    """(in, out / groups, *kernel) as (out, in / groups, *kernel)."""
    in_dims, group_dims, *kernel = weight.shape
    parts = weight.reshape(groups, in_dims // groups, group_dims, *kernel)
    return parts.swapaxes(1, 2).reshape(groups * group_dims, in_dims // groups, *kernel)


def _channels_last(ndim: int) -> jax.lax.ConvDimensionNumbers:
    image = (0, ndim - 1, *range(1, ndim - 1))
    return jax.lax.ConvDimensionNumbers(image, tuple(range(ndim)), image)
