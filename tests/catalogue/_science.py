"""Layers for scientific machine learning."""

import jax.numpy as jnp

from sciml_lux import nn, ops, precision

from ._entry import LayerEntry, OpEntry

_FFT_DTYPES = ("float32", "float64")


LAYERS: list[LayerEntry] = [
    LayerEntry(nn.MLP(2, (3, 3, 1), nn.tanh), (4, 2), (4, 1), 25, bad=(4, 3)),
    LayerEntry(
        nn.MLP(2, (3, 3), nn.gelu, norm_layer=nn.LayerNorm, residual_connection=True),
        (4, 2),
        (4, 3),
        33,
        widens=True,
    ),
    LayerEntry(
        nn.PeriodicEmbedding((2, 0), (3.0, 1.5)), (4, 3), (4, 5), 0, bad=(4, 2), widens=True
    ),
    LayerEntry(
        nn.HamiltonianNN(nn.Chain(nn.Dense(4, 3, nn.tanh), nn.Dense(3, 1))),
        (5, 4),
        (5, 4),
        19,
        bad=(5, 3),
    ),
    LayerEntry(
        nn.TensorProductLayer((nn.Chebyshev(3), nn.Fourier(2)), 2),
        (4, 2),
        (4, 2),
        12,
        bad=(4, 3),
        widens=True,
    ),
    LayerEntry(
        nn.TensorProductLayer((nn.Sin(2), nn.Cos(2), nn.Legendre(2), nn.Polynomial(2)), 1),
        (3, 4),
        (3, 1),
        16,
        widens=True,
    ),
    LayerEntry(nn.SplineLayer((2,), -2.0, 2.0, 0.8, "cubic"), (4,), (4, 2), 12, 6, widens=True),
    LayerEntry(
        nn.SplineLayer((), -2.0, 2.0, 0.8, "linear", train_grid=True),
        (4, 1),
        (4, 1),
        12,
        widens=True,
    ),
    LayerEntry(nn.FourierFeatures(2, 3, scale=0.1), (4, 2), (4, 6), 0, 6, bad=(4, 3)),
    LayerEntry(nn.FourierFeatures(2, 3, scale=0.5, trainable=True), (4, 2), (4, 6), 6),
    LayerEntry(nn.RandomWeightFactorization(3, 2, nn.tanh), (4, 3), (4, 2), 10, bad=(4, 2)),
    LayerEntry(nn.SineDense(3, 2, 2.0), (4, 3), (4, 2), 8, bad=(4, 2)),
    LayerEntry(nn.SIREN(2, (3, 3), 1, omega_first=2.0, omega=1.5), (4, 2), (4, 1), 25, bad=(4, 3)),
    LayerEntry(
        nn.PirateNetBlock(2, 1),
        ((4, 2), (4, 1), (4, 1)),
        (4, 2),
        10,
        bad=((4, 2), (4, 1), (4, 2)),
    ),
    LayerEntry(nn.PirateNet(2, 2, 1, 1, nn.tanh, scale=0.5), (4, 2), (4, 1), 33, 2, bad=(4, 3)),
    LayerEntry(
        nn.SpectralConv(2, 1, (3,)), (3, 5, 2), (3, 5, 1), 12, bad=(3, 5, 3), dtypes=_FFT_DTYPES
    ),
    LayerEntry(nn.SpectralConv(2, 1, (1, 2)), (3, 4, 4, 2), (3, 4, 4, 1), 16, dtypes=_FFT_DTYPES),
    LayerEntry(
        nn.FNOBlock(2, 1, (2,), nn.tanh),
        (3, 4, 2),
        (3, 4, 1),
        11,
        bad=(3, 4, 3),
        dtypes=_FFT_DTYPES,
    ),
    LayerEntry(
        nn.PositiveDefinite(nn.Dense(2, 3, nn.tanh), (0.5, -1.0)),
        (4, 2),
        (4, 1),
        9,
        bad=(4, 3),
        widens=True,
    ),
    LayerEntry(
        nn.ShiftTo(nn.Dense(2, 3, nn.tanh), (0.5, -1.0), (1.0, 2.0, 3.0)),
        (4, 2),
        (4, 3),
        9,
        bad=(4, 3),
    ),
]

ANY_SHAPE = {"SplineLayer"}


def _chebyshev(x):
    return ops.chebyshev_basis(x, 4)


def _legendre(x):
    return ops.legendre_basis(x, 4)


def _polynomial(x):
    return ops.polynomial_basis(x, 4)


def _sine(x):
    return ops.sine_basis(x, 3)


def _cosine(x):
    return ops.cosine_basis(x, 3)


def _fourier(x):
    return ops.fourier_basis(x, 3)


def _cubic(x, steps, values):
    grid = precision.accumulating(jnp.cumsum, 0.5 + ops.sigmoid(steps)) - 3.0
    return ops.interpolate(x, grid, values, "cubic")


OPS: list[OpEntry] = [
    OpEntry(ops.chebyshev_basis, ((3,),), _chebyshev, widens=True),
    OpEntry(ops.legendre_basis, ((3,),), _legendre, widens=True),
    OpEntry(ops.polynomial_basis, ((3,),), _polynomial, widens=True),
    OpEntry(ops.sine_basis, ((3,),), _sine, widens=True),
    OpEntry(ops.cosine_basis, ((3,),), _cosine, widens=True),
    OpEntry(ops.fourier_basis, ((3,),), _fourier, widens=True),
    OpEntry(ops.interpolate, ((3,), (4,), (4, 2)), _cubic, widens=True),
    OpEntry(ops.kronecker_product, ((3, 2), (3, 3))),
    OpEntry(ops.periodic_sin_cos, ((3, 2), (2,)), widens=True),
    OpEntry(ops.spectral_convolution, ((2, 5, 4, 2), (2, 1, 2, 4, 2)), dtypes=_FFT_DTYPES),
]
