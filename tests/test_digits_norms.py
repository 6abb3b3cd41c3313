"""Digits of the normalisations against mpmath, each with a contaminated twin that must fail.

As in `test_digits`: 40 digits at test time, from formulas written apart from the library. Every
normalisation is the same formula over sets of entries that share a mean and a variance.
"""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ops
from tests.conftest import needs_x64
from tests.test_digits import FIRST, SEEDS, VALUE, Cut, error

pytestmark = needs_x64
mp = mpmath.mp.clone()
mp.dps = 40
exact = np.vectorize(mp.mpf)
SHAPE = (2, 3, 4)

# The layer, and which entries share their moments: a matrix of places, a row for each set.
NORMS = {
    "batch": (nn.BatchNorm(4), lambda i: i.transpose(2, 0, 1).reshape(4, 6)),
    "group": (
        nn.GroupNorm(4, 2),
        lambda i: i.reshape(2, 3, 2, 2).transpose(0, 2, 1, 3).reshape(4, 6),
    ),
    "instance": (nn.InstanceNorm(4, affine=True), lambda i: i.transpose(0, 2, 1).reshape(8, 3)),
    "layer": (nn.LayerNorm(4), lambda i: i.reshape(6, 4)),
    "layer, whole array": (nn.LayerNorm(4, axis=None), lambda i: i.reshape(1, 24)),
    "rms": (nn.RMSNorm(4), lambda i: i.reshape(6, 4)),
}


@functools.cache
def numbers(kind, seed):
    """Input, scale, bias, and the weights of a sum of the output; dyadic ones have 10 bits."""
    rng = np.random.default_rng(seed)
    draw = [rng.uniform(-1.0, 1.0, shape) for shape in (SHAPE, (4,), (4,), SHAPE)]
    return [np.round(a * 1024) / 1024 for a in draw] if kind == "dyadic" else draw


class Reference:
    """Value of a normalisation, and gradients of the weighted sum of its output."""

    def __init__(self, name, kind, seed):
        x, scale, bias, weights = map(exact, numbers(kind, seed))
        places = NORMS[name][1](np.arange(x.size).reshape(SHAPE))
        count = places.shape[1]
        rows, cotangents = x.ravel()[places], (weights * scale).ravel()[places]
        centered = rows if name == "rms" else rows - rows.sum(1, keepdims=True) / count
        squares = (centered**2).sum(1, keepdims=True) / count
        inverse = 1 / np.vectorize(mp.sqrt)(squares + exact(1e-5))
        z = centered * inverse
        along = cotangents - z * ((cotangents * z).sum(1, keepdims=True) / count)
        if name != "rms":
            along = along - cotangents.sum(1, keepdims=True) / count
        self.z = _put(z, places)
        self.value = self.z * scale + (0 if name == "rms" else bias)
        self.of_x = _put(inverse * along, places)
        self.of_scale = (weights * self.z).sum((0, 1))


def _put(rows, places):
    flat = np.empty(places.size, object)
    flat[places] = rows
    return flat.reshape(SHAPE)


def made(name, kind, seed, twin=False):
    """Value and gradients by x and scale of the weighted sum."""
    x, scale, bias, weights = map(jnp.asarray, numbers(kind, seed))
    layer = NORMS[name][0]
    ps = lux.Record(scale=scale) if name == "rms" else lux.Record(scale=scale, bias=bias)
    st = lux.setup(0, layer, dtype=jnp.float64)[1]
    cut = Cut()

    def value(x, ps):
        y = layer(x, ps, st)[0]
        return cut(y, lux.Record(), lux.Record())[0] if twin else y

    of_x, of_ps = jax.grad(lambda x, ps: jnp.sum(weights * value(x, ps)), (0, 1))(x, ps)
    return value(x, ps), of_x, of_ps.scale


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize(("kind", "seed"), SEEDS)
def test_norm_has_its_digits_and_its_twin_has_not(name, kind, seed):
    want = Reference(name, kind, seed)
    found, twin = made(name, kind, seed), made(name, kind, seed, twin=True)
    assert error(found[0], want.value) < VALUE
    assert error(twin[0], want.value) > 100 * VALUE
    for of_ours, wanted in zip(found[1:], (want.of_x, want.of_scale), strict=True):
        assert error(of_ours, wanted) < FIRST
    if kind == "full":  # Ten bits pass through a cast of the cotangents.
        for of_twin, wanted in zip(twin[1:], (want.of_x, want.of_scale), strict=True):
            assert error(of_twin, wanted) > 100 * FIRST


@pytest.mark.parametrize(("kind", "seed"), SEEDS)
def test_running_statistics_and_test_mode_have_their_digits(kind, seed):
    x, scale, bias, _ = numbers(kind, seed)
    layer, places = NORMS["batch"]
    ps = lux.Record(scale=jnp.asarray(scale), bias=jnp.asarray(bias))
    st = layer(jnp.asarray(x), ps, lux.setup(0, layer, dtype=jnp.float64)[1])[1]
    rows = exact(x).ravel()[places(np.arange(x.size).reshape(SHAPE))]
    mean = rows.sum(1) / 6
    variance = ((rows - mean[:, None]) ** 2).sum(1) / 5
    momentum = exact(0.1)
    mean, variance = momentum * mean, 1 - momentum + momentum * variance
    assert error(st.running_mean, mean) < VALUE
    assert error(st.running_var, variance) < VALUE
    inverse = 1 / np.vectorize(mp.sqrt)(variance + exact(1e-5))
    want = (exact(x) - mean) * inverse * exact(scale) + exact(bias)
    tested = lux.testmode(st)
    assert error(layer(jnp.asarray(x), ps, tested)[0], want) < VALUE
    cut = tested | {"running_mean": tested.running_mean.astype(jnp.float32)}
    assert error(layer(jnp.asarray(x), ps, cut)[0], want) > 100 * VALUE


@pytest.mark.parametrize(("kind", "seed"), SEEDS)
def test_weightnorm_has_its_digits_and_its_twin_has_not(kind, seed):
    v, g, _, weights = numbers(kind, seed)
    v, weights, g = v.reshape(6, 4), weights.reshape(6, 4), np.resize(g, (6, 1))
    norm = np.vectorize(mp.sqrt)((exact(v) ** 2).sum(1, keepdims=True))
    unit = exact(v) / norm
    inner = (exact(weights) * unit).sum(1, keepdims=True)
    want = exact(g) * unit, exact(g) / norm * (exact(weights) - unit * inner), inner

    def found(of):
        loss = lambda v, g: jnp.sum(weights * of(v, g))
        return of(jnp.asarray(v), jnp.asarray(g)), *jax.grad(loss, (0, 1))(
            jnp.asarray(v), jnp.asarray(g)
        )

    def twin(v, g):
        return ops.weightnorm(v, g, 0).astype(jnp.float32).astype(jnp.float64)

    for ours, wanted, tolerance in zip(
        found(lambda v, g: ops.weightnorm(v, g, 0)), want, (VALUE, FIRST, FIRST), strict=True
    ):
        assert error(ours, wanted) < tolerance
    assert error(found(twin)[0], want[0]) > 100 * VALUE
    if kind == "full":
        assert error(found(twin)[1], want[1]) > 100 * FIRST


def test_a_large_mean_takes_no_digits_of_the_variance():
    x = numbers("full", 2)[0].ravel() + 1e6
    rows = exact(x)
    centered = rows - rows.sum() / 24
    want = centered / mp.sqrt((centered**2).sum() / 24 + exact(1e-5))
    y = ops.layernorm(jnp.asarray(x), None, None, axis=0, epsilon=1e-5)
    mean = x.mean()
    one_pass = (x - mean) / np.sqrt((x * x).mean() - mean**2 + 1e-5)
    assert error(y, want) < 1e-9
    assert error(one_pass, want) > 1e-6
