"""Convolution, pooling, padding and resizing."""

from sciml_lux import ops

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = []


def _pad_constant(x, value):
    return ops.pad_constant(x, ((1, 2), 0), value)


def _pad_zeros(x):
    return ops.pad_zeros(x, 1)


def _pad_reflect(x):
    return ops.pad_reflect(x, ((2, 1), 1))


def _pad_symmetric(x):
    return ops.pad_symmetric(x, ((3, 1), 2))


def _pad_repeat(x):
    return ops.pad_repeat(x, ((1, 4), 0))


def _pad_circular(x):
    return ops.pad_circular(x, ((3, 1), 1))


def _upsample_nearest(x):
    return ops.upsample_nearest(x, (2, 1.5))


def _upsample_linear(x):
    return ops.upsample_linear(x, 2.5)


def _upsample_bilinear(x):
    return ops.upsample_bilinear(x, size=(5, 3), align_corners=True)


def _upsample_trilinear(x):
    return ops.upsample_trilinear(x, (2, 1, 3))


def _pixel_shuffle(x):
    return ops.pixel_shuffle(x, 2)


_IMAGE = ((2, 3, 2, 2),)

OPS: list[OpEntry] = [
    OpEntry(ops.pad_constant, (*_IMAGE, ()), _pad_constant),
    OpEntry(ops.pad_zeros, _IMAGE, _pad_zeros),
    OpEntry(ops.pad_reflect, _IMAGE, _pad_reflect),
    OpEntry(ops.pad_symmetric, _IMAGE, _pad_symmetric),
    OpEntry(ops.pad_repeat, _IMAGE, _pad_repeat),
    OpEntry(ops.pad_circular, _IMAGE, _pad_circular),
    OpEntry(ops.upsample_nearest, _IMAGE, _upsample_nearest),
    OpEntry(ops.upsample_linear, ((2, 3, 2),), _upsample_linear),
    OpEntry(ops.upsample_bilinear, _IMAGE, _upsample_bilinear),
    OpEntry(ops.upsample_trilinear, ((2, 2, 3, 2, 1),), _upsample_trilinear),
    OpEntry(ops.pixel_shuffle, ((2, 2, 1, 8),), _pixel_shuffle),
]
