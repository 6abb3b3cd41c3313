"""Normalisation."""

import numpy as np

from sciml_lux import nn, ops

from ._entry import LayerEntry, OpEntry

LAYERS: list[LayerEntry] = [
    LayerEntry(
        nn.BatchNorm(3, nn.tanh), (4, 3), (4, 3), 6, 7, bad=(4, 2), batched=False, widens=True
    ),
    LayerEntry(
        nn.BatchNorm(2, affine=False, track_stats=False),
        (3, 2, 2),
        (3, 2, 2),
        0,
        1,
        batched=False,
        widens=True,
    ),
    LayerEntry(
        nn.GroupNorm(4, 2), (3, 2, 4), (3, 2, 4), 8, bad=(3, 2, 3), batched=False, widens=True
    ),
    LayerEntry(
        nn.InstanceNorm(2, nn.tanh),
        (2, 3, 2),
        (2, 3, 2),
        0,
        1,
        bad=(3, 2),
        batched=False,
        widens=True,
    ),
    LayerEntry(
        nn.InstanceNorm(2, affine=True, track_stats=True),
        (2, 3, 2),
        (2, 3, 2),
        4,
        5,
        batched=False,
        widens=True,
    ),
    LayerEntry(nn.LayerNorm(3, nn.tanh), (4, 3), (4, 3), 6, bad=(4, 2), widens=True),
    LayerEntry(
        nn.LayerNorm((2, 3), axis=None), (2, 2, 3), (2, 2, 3), 12, batched=False, widens=True
    ),
    LayerEntry(nn.RMSNorm(3), (4, 3), (4, 3), 3, bad=(4, 2), widens=True),
    LayerEntry(nn.WeightNorm(nn.Dense(3, 2), "weight", axis=0), (4, 3), (4, 2), 10, widens=True),
]

# What is said of a bad shape is what the layer inside says.
ANY_SHAPE = {"WeightNorm"}


def _batchnorm_training(x, scale, bias):
    running = np.full(x.shape[-1:], 0.5, x.dtype)
    return ops.batchnorm(x, scale, bias, running, running, True, ops.tanh)[0]


def _batchnorm_testing(x, scale, bias):
    running = np.full(x.shape[-1:], 0.5, x.dtype)
    return ops.batchnorm(x, scale, bias, running, running, False)


def _instancenorm(x, scale, bias):
    return ops.instancenorm(x, scale, bias, None, None, True)[0]


def _groupnorm(x, scale, bias):
    return ops.groupnorm(x, scale, bias, 2)


OPS: list[OpEntry] = [
    OpEntry(ops.batchnorm, ((4, 3), (3,), (3,)), _batchnorm_training, widens=True),
    OpEntry(ops.batchnorm, ((4, 3), (3,), (3,)), _batchnorm_testing, widens=True),
    OpEntry(ops.instancenorm, ((2, 3, 2), (2,), (2,)), _instancenorm, widens=True),
    OpEntry(ops.groupnorm, ((3, 2, 4), (4,), (4,)), _groupnorm, widens=True),
    OpEntry(ops.layernorm, ((2, 2, 3), (2, 3), (2, 3)), widens=True),
    OpEntry(ops.rmsnorm, ((4, 3), (3,)), widens=True),
    OpEntry(ops.norm_except, ((4, 3),), widens=True),
    OpEntry(ops.weightnorm, ((4, 3), (1, 1)), widens=True),
]
