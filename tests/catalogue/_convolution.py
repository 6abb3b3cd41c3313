"""Convolution, pooling, padding and resizing."""

from sciml_lux import nn, ops

from ._entry import LayerEntry, OpEntry


def _image(layer, x, y, parameters, bad, widens=False):
    # The batch axis must be there, so rows by themselves are refused; what the generic tests would
    # run with rows is in tests/nn/convolution/test_images.py.
    return LayerEntry(layer, x, y, parameters, bad=bad, batched=False, widens=widens)


def _sum(layer, x, y, bad):
    """What adds up, as a pool or an interpolation."""
    return _image(layer, x, y, 0, bad, widens=True)


LAYERS: list[LayerEntry] = [
    _image(nn.Conv((3,), 2, 3, nn.tanh, padding=1), (2, 4, 2), (2, 4, 3), 21, (2, 4, 3)),
    _image(
        nn.Conv(
            (2, 2),
            2,
            4,
            stride=(1, 2),
            padding=((1, 0), 1),
            dilation=(2, 1),
            groups=2,
            use_bias=False,
            cross_correlation=True,
        ),
        (2, 3, 4, 2),
        (2, 2, 3, 4),
        16,
        (3, 4, 2),
    ),
    _image(
        nn.Conv((2, 1, 2), 1, 2, padding=nn.SamePad(), padding_mode="circular"),
        (1, 2, 2, 3, 1),
        (1, 2, 2, 3, 2),
        10,
        (2, 2, 3, 1),
    ),
    _image(
        nn.ConvTranspose((3,), 2, 3, nn.tanh, stride=2, padding=nn.SamePad()),
        (2, 3, 2),
        (2, 6, 3),
        21,
        (2, 3, 3),
    ),
    _image(
        nn.ConvTranspose((3, 2), 2, 4, stride=2, padding=1, outpad=(1, 0), groups=2),
        (2, 3, 3, 2),
        (2, 6, 4, 4),
        28,
        (2, 3, 3, 4),
    ),
    _image(nn.MaxPool((2, 3), stride=1, padding=(0, 1)), (2, 3, 4, 2), (2, 2, 4, 2), 0, (3, 4, 2)),
    _sum(nn.MeanPool((2, 2), padding=nn.SamePad()), (2, 3, 4, 2), (2, 2, 2, 2), (3, 4, 2)),
    _sum(nn.LPPool((2,), p=3, stride=1), (2, 4, 2), (2, 3, 2), (4, 2)),
    _image(nn.GlobalMaxPool(), (2, 3, 3, 2), (2, 1, 1, 2), 0, (2, 3)),
    _sum(nn.GlobalMeanPool(), (2, 3, 3, 2), (2, 1, 1, 2), (2, 3)),
    _sum(nn.GlobalLPPool(), (2, 3, 3, 2), (2, 1, 1, 2), (2, 3)),
    _image(nn.AdaptiveMaxPool((3,)), (2, 7, 2), (2, 3, 2), 0, (2, 2, 2)),
    _sum(nn.AdaptiveMeanPool((2, 3)), (2, 3, 7, 2), (2, 2, 3, 2), (3, 7, 2)),
    _sum(nn.AdaptiveLPPool((2,), p=1.5), (2, 3, 2), (2, 2, 2), (3, 2)),
    _image(nn.Upsample(scale=(2, 1)), (2, 2, 3, 2), (2, 4, 3, 2), 0, (3, 2)),
    _sum(
        nn.Upsample("bilinear", size=(3, 5), align_corners=True),
        (2, 2, 3, 2),
        (2, 3, 5, 2),
        (2, 3, 2),
    ),
    _image(nn.PixelShuffle(2), (2, 2, 1, 8), (2, 4, 2, 2), 0, (2, 2, 1, 6)),
]


_STRIDED = {"stride": 2, "padding": ((1, 0), 1), "dilation": (1, 2), "groups": 2}


def _conv(x, weight):
    return ops.conv(x, weight, padding_mode="reflect", **_STRIDED)


def _conv_transpose(x, weight):
    return ops.conv_transpose(x, weight, outpad=(1, 0), **_STRIDED)


def _fused_conv(weight, x, bias):
    return ops.fused_conv_bias_activation(ops.tanh, weight, x, bias, cross_correlation=True)


def _max_pool(x):
    return ops.max_pool(x, (2, 2), stride=(1, 2), padding=((0, 1), 0), dilation=(2, 1))


def _mean_pool(x):
    return ops.mean_pool(x, (2, 2), stride=(1, 2), padding=((0, 1), 0), dilation=(2, 1))


def _lp_pool(x):
    return ops.lp_pool(x, (2, 2), p=2.5, stride=(1, 2), padding=((0, 1), 0), dilation=(2, 1))


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
_SMALL = ((1, 3, 4, 2),)

OPS: list[OpEntry] = [
    OpEntry(ops.conv, (*_SMALL, (4, 1, 2, 2)), _conv),
    OpEntry(ops.conv_transpose, (*_SMALL, (2, 2, 2, 2)), _conv_transpose),
    OpEntry(ops.fused_conv_bias_activation, ((3, 2, 2, 2), *_SMALL, (3,)), _fused_conv),
    OpEntry(ops.max_pool, _SMALL, _max_pool),
    OpEntry(ops.mean_pool, _SMALL, _mean_pool, widens=True),
    OpEntry(ops.lp_pool, _SMALL, _lp_pool, widens=True),
    OpEntry(ops.pad_constant, (*_IMAGE, ()), _pad_constant),
    OpEntry(ops.pad_zeros, _IMAGE, _pad_zeros),
    OpEntry(ops.pad_reflect, _IMAGE, _pad_reflect),
    OpEntry(ops.pad_symmetric, _IMAGE, _pad_symmetric),
    OpEntry(ops.pad_repeat, _IMAGE, _pad_repeat),
    OpEntry(ops.pad_circular, _IMAGE, _pad_circular),
    OpEntry(ops.upsample_nearest, _IMAGE, _upsample_nearest),
    OpEntry(ops.upsample_linear, ((2, 3, 2),), _upsample_linear, widens=True),
    OpEntry(ops.upsample_bilinear, _IMAGE, _upsample_bilinear, widens=True),
    OpEntry(ops.upsample_trilinear, ((2, 2, 3, 2, 1),), _upsample_trilinear, widens=True),
    OpEntry(ops.pixel_shuffle, ((2, 2, 1, 8),), _pixel_shuffle),
]
