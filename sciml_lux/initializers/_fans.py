"""Fan in and fan out: how many entries of a weight lead to one output, and from one input."""

import math


def fans(name: str, shape: tuple[int, ...], in_axis: int, out_axis: int) -> tuple[int, int]:
    """Fan in and fan out of a weight; the axes that are neither in nor out count as a kernel.

    A bias, which has one axis or none, has fan in 1.

    Args:
        name: of the initialiser, for messages.
        shape: of the weight.
        in_axis: the axis of the inputs.
        out_axis: the axis of the outputs.

    Raises:
        ValueError: an axis that `shape` does not have, or the same axis twice.
    """
    if len(shape) < 2:
        return 1, math.prod(shape)
    axes = len(shape)
    inside = -axes <= in_axis < axes and -axes <= out_axis < axes
    if not inside or in_axis % axes == out_axis % axes:
        raise ValueError(
            f"`{name}` expects `in_axis` and `out_axis` to be two axes of shape {shape}, got "
            f"{in_axis} and {out_axis}."
        )
    inputs, outputs = shape[in_axis], shape[out_axis]
    kernel = math.prod(
        size for axis, size in enumerate(shape) if axis not in (in_axis % axes, out_axis % axes)
    )
    return inputs * kernel, outputs * kernel
