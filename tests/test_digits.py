"""Digits against mpmath, on random dyadic and full 53-bit inputs, each with a contaminated twin.

The references are computed at test time in 40 digits, from formulas written apart from the library.
A twin, the same model with one cast to float32, must miss the same tolerance.
"""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.conftest import needs_x64

pytestmark = needs_x64
mp = mpmath.mp.clone()
mp.dps = 40

VALUE, FIRST, SECOND = 1e-14, 1e-13, 1e-12
DIMS = (3, 4, 1)


class Cut(lux.Layer):
    """One float32 stage."""

    def __call__(self, x, ps, st):
        return x.astype(jnp.float32).astype(x.dtype), st


# The cast stands between two hidden layers, so that value and derivatives both feel it.
CLEAN = nn.Chain(nn.Dense(3, 4, nn.tanh), nn.NoOpLayer(), nn.Dense(4, 4, nn.tanh), nn.Dense(4, 1))
TWIN = nn.Chain(nn.Dense(3, 4, nn.tanh), Cut(), nn.Dense(4, 4, nn.tanh), nn.Dense(4, 1))


@functools.cache
def numbers(kind, seed):
    """Weights and an input; dyadic ones have 10 bits, which float32 holds."""
    rng = np.random.default_rng(seed)
    shapes = {"w1": (4, 3), "b1": (4,), "w2": (4, 4), "b2": (4,), "w3": (1, 4), "b3": (1,)}
    shapes["x"] = (3,)
    draw = {name: rng.uniform(-1.0, 1.0, shape) for name, shape in shapes.items()}
    if kind == "dyadic":
        return {name: np.round(a * 1024) / 1024 for name, a in draw.items()}
    return draw


def trees(kind, seed):
    n = {name: jnp.asarray(a) for name, a in numbers(kind, seed).items()}
    ps = lux.Record(
        layer_1=lux.Record(weight=n["w1"], bias=n["b1"]),
        layer_2=lux.Record(),
        layer_3=lux.Record(weight=n["w2"], bias=n["b2"]),
        layer_4=lux.Record(weight=n["w3"], bias=n["b3"]),
    )
    st = lux.setup(0, CLEAN)[1]
    return n["x"], ps, st


def of_x(model, kind, seed):
    """The scalar function of x that a model is, and the point."""
    x, ps, st = trees(kind, seed)
    return (lambda x: model(x, ps, st)[0][0]), x


class Reference:
    """The network, its gradient and its Hessian in x, by the chain rule with tanh' = 1 - tanh²."""

    def __init__(self, kind, seed):
        n = {name: np.vectorize(mp.mpf)(a) for name, a in numbers(kind, seed).items()}
        tanh = np.vectorize(mp.tanh)
        out = n["w3"][0]
        first = tanh(n["w1"] @ n["x"] + n["b1"])
        second = tanh(n["w2"] @ first + n["b2"])
        slope1, slope2 = 1 - first**2, 1 - second**2
        bend1, bend2 = -2 * first * slope1, -2 * second * slope2
        jacobian = n["w2"] @ (slope1[:, None] * n["w1"])
        self.hidden = first
        self.value = out @ second + n["b3"][0]
        self.gradient = (out * slope2) @ jacobian
        # The Hessian of each unit of the second layer, (4, 3, 3).
        inner = np.einsum("kj,j,ja,jb->kab", n["w2"], bend1, n["w1"], n["w1"])
        outer = np.einsum("ka,kb->kab", jacobian, jacobian)
        units = bend2[:, None, None] * outer + slope2[:, None, None] * inner
        self.hessian = np.einsum("k,kab->ab", out, units)
        self.laplacian = sum(self.hessian[i, i] for i in range(3))
        # The Laplacian is linear in the last weights.
        self.laplacian_of_w3 = sum(units[:, i, i] for i in range(3))
        self.value_of_w1 = np.outer(((out * slope2) @ n["w2"]) * slope1, n["x"])


def error(found, want):
    want = np.asarray(np.vectorize(float)(want))
    # Relative to the size of the whole array: single entries may cancel.
    return float(np.abs(np.asarray(found) - want).max() / np.abs(want).max())


def laplacian(f, x):
    return jnp.trace(jax.hessian(f)(x))


QUANTITIES = {
    "value": (lambda f, x: f(x), "value", VALUE),
    "gradient": (lambda f, x: jax.grad(f)(x), "gradient", FIRST),
    "forward gradient": (lambda f, x: jax.jacfwd(f)(x), "gradient", FIRST),
    "hessian": (lambda f, x: jax.hessian(f)(x), "hessian", SECOND),
    "reverse over reverse": (lambda f, x: jax.jacrev(jax.grad(f))(x), "hessian", SECOND),
    "laplacian": (laplacian, "laplacian", SECOND),
}
SEEDS = [("dyadic", 0), ("dyadic", 1), ("full", 2), ("full", 3), ("full", 4)]


@pytest.mark.parametrize("name", QUANTITIES)
@pytest.mark.parametrize(("kind", "seed"), SEEDS)
def test_network_has_its_digits_and_its_twin_has_not(name, kind, seed):
    compute, attribute, tolerance = QUANTITIES[name]
    want = getattr(Reference(kind, seed), attribute)
    assert error(compute(*of_x(CLEAN, kind, seed)), want) < tolerance
    assert error(compute(*of_x(TWIN, kind, seed)), want) > 100 * tolerance


@pytest.mark.parametrize(("kind", "seed"), SEEDS)
def test_parameter_gradients_have_their_digits(kind, seed):
    x, ps, st = trees(kind, seed)
    reference = Reference(kind, seed)

    def value(ps, model):
        return model(x, ps, st)[0][0]

    def of_laplacian(ps, model):
        return laplacian(lambda x: model(x, ps, st)[0][0], x)

    for f, layer, want, tolerance in (
        (value, "layer_1", reference.value_of_w1, FIRST),
        (of_laplacian, "layer_4", reference.laplacian_of_w3[None], SECOND),
    ):
        assert error(jax.grad(f)(ps, CLEAN)[layer].weight, want) < tolerance
        assert error(jax.grad(f)(ps, TWIN)[layer].weight, want) > 100 * tolerance


@pytest.mark.parametrize(("kind", "seed"), SEEDS[2:])
def test_input_only_cast_is_seen_by_full_inputs(kind, seed):
    f, x = of_x(CLEAN, kind, seed)
    want = Reference(kind, seed).value
    assert error(f(x.astype(jnp.float32).astype(x.dtype)), want) > 100 * VALUE


@pytest.mark.parametrize(("kind", "seed"), SEEDS)
def test_dense_has_its_digits(kind, seed):
    x, ps, _ = trees(kind, seed)
    want = Reference(kind, seed).hidden
    y, _ = nn.Dense(3, 4, nn.tanh)(x, ps.layer_1, lux.Record())
    assert error(y, want) < VALUE
    twin = nn.Chain(nn.Dense(3, 4, nn.tanh), Cut())
    y, _ = twin(x, ps, lux.setup(0, twin)[1])
    assert error(y, want) > 100 * VALUE
