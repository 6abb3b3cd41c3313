"""Digits of the losses against mpmath, each with a contaminated twin that must fail.

As in `test_digits`: 40 digits at test time, from formulas written apart from the library, one entry
at a time. Their derivatives are differences over 10⁻¹² in 60 digits, which leaves more than 20.
"""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from sciml_lux import losses
from tests.conftest import needs_x64
from tests.test_digits import FIRST, SECOND, SEEDS, VALUE, error

pytestmark = needs_x64
mp = mpmath.mp.clone()
mp.dps = 60
STEP = mp.mpf(10) ** -12
SHAPE = (2, 3)
EPSILON = mp.mpf(2) ** -52
THIRD = mp.mpf(0.3)


def mean(terms):
    return mp.fsum(terms) / len(terms)


def entrywise(term):
    """The mean of `term(p, t)` over the entries."""
    return lambda p, t: mean([term(a, b) for a, b in zip(p, t, strict=True)])


def rowwise(term):
    """The mean of `term(p, t)` over the rows, whose entries are the classes."""
    return lambda p, t: mean([term(p[i : i + 3], t[i : i + 3]) for i in (0, 3)])


def huber(delta):
    def term(p, t):
        size = abs(p - t)
        return size**2 / 2 if size <= delta else delta * (size - delta / 2)

    return term


def binary(p, t):
    return -t * mp.log(p + EPSILON) - (1 - t) * mp.log(1 - p + EPSILON)


def of_logit(x, t):
    return -t * mp.log(1 / (1 + mp.exp(-x))) - (1 - t) * mp.log(1 / (1 + mp.exp(x)))


def binary_focal(gamma):
    def term(p, t):
        right = t * p + (1 - t) * (1 - p) + EPSILON
        return -((1 - right) ** gamma) * mp.log(right)

    return term


def softmax(x):
    total = mp.fsum(map(mp.exp, x))
    return [mp.exp(v) / total for v in x]


def cross_entropy(p, t):
    return -mp.fsum(b * mp.log(a + EPSILON) for a, b in zip(p, t, strict=True))


def smooth(t):
    tenth = mp.mpf(0.1)
    return [(1 - tenth) * b + tenth / 3 for b in t]


def divergence(p, t):
    return mp.fsum(b * mp.log(b) for b in t) + cross_entropy(p, t)


def focal(p, t):
    p = [a + EPSILON for a in p]
    return -mp.fsum(b * (1 - a) ** 2 * mp.log(a) for a, b in zip(p, t, strict=True))


def dice(p, t):
    both = 2 * mp.fsum(a * b for a, b in zip(p, t, strict=True)) + 1
    return 1 - both / (mp.fsum(a * a for a in p) + mp.fsum(b * b for b in t) + 1)


def margin(p, t):
    return (1 - t) * p**2 + t * max(0, 1 - p) ** 2


REAL, POSITIVE, UNIT = (-2.0, 2.0), (0.5, 2.0), (0.1, 0.9)
# The loss, where its numbers are drawn, and its value from the entries in order.
LOSSES = [
    (losses.MSELoss(), REAL, entrywise(lambda p, t: (p - t) ** 2)),
    (losses.MSELoss(agg=losses.total), REAL, lambda p, t: 6 * mean_of_squares(p, t)),
    (losses.MAELoss(), REAL, entrywise(lambda p, t: abs(p - t))),
    (losses.HuberLoss(), REAL, entrywise(huber(1))),
    (losses.HuberLoss(delta=0.3), REAL, entrywise(huber(THIRD))),
    (
        losses.MSLELoss(),
        POSITIVE,
        entrywise(lambda p, t: (mp.log(p + EPSILON) - mp.log(t + EPSILON)) ** 2),
    ),
    (losses.PoissonLoss(), POSITIVE, entrywise(lambda p, t: p - t * mp.log(p + EPSILON))),
    (losses.BinaryCrossEntropyLoss(), UNIT, entrywise(binary)),
    (
        losses.BinaryCrossEntropyLoss(label_smoothing=0.1),
        UNIT,
        entrywise(lambda p, t: binary(p, t * (1 - mp.mpf(0.1)) + mp.mpf(0.1) / 2)),
    ),
    (losses.BinaryCrossEntropyLoss(logits=True), REAL, entrywise(of_logit)),
    (losses.BinaryFocalLoss(), UNIT, entrywise(binary_focal(2))),
    (losses.BinaryFocalLoss(gamma=1.5), UNIT, entrywise(binary_focal(mp.mpf(1.5)))),
    (losses.CrossEntropyLoss(), UNIT, rowwise(cross_entropy)),
    (
        losses.CrossEntropyLoss(label_smoothing=0.1, logits=True),
        UNIT,
        rowwise(
            lambda p, t: -mp.fsum(b * mp.log(a) for a, b in zip(softmax(p), smooth(t), strict=True))
        ),
    ),
    (losses.FocalLoss(), UNIT, rowwise(focal)),
    (losses.KLDivergenceLoss(), UNIT, rowwise(divergence)),
    (losses.DiceCoeffLoss(), REAL, rowwise(dice)),
    (losses.HingeLoss(), REAL, entrywise(lambda p, t: max(0, 1 - p * t))),
    (losses.SquaredHingeLoss(), REAL, entrywise(lambda p, t: max(0, 1 - p * t) ** 2)),
    (losses.SiameseContrastiveLoss(), REAL, entrywise(margin)),
    (losses.GenericLossFunction(jnp.multiply), REAL, entrywise(lambda p, t: p * t)),
]
mean_of_squares = LOSSES[0][2]
CASES = [pytest.param(*case, id=repr(case[0])) for case in LOSSES]


def numbers(interval, kind, seed):
    """Predictions and targets; dyadic ones have 10 bits behind the point."""
    draw = np.random.default_rng(seed).uniform(*interval, (2, *SHAPE))
    return np.round(draw * 1024) / 1024 if kind == "dyadic" else draw


def reference(value, y_pred, y):
    """Value, gradients by both, and Hessian by the predictions, in 60 digits."""
    start = [mp.mpf(v) for v in [*y_pred.ravel(), *y.ravel()]]

    @functools.cache
    def at(*moves):
        x = list(start)
        for i, sign in moves:
            x[i] += sign * STEP
        return value(x[:6], x[6:])

    slopes = [(at((i, 1)) - at((i, -1))) / (2 * STEP) for i in range(12)]
    hessian = [
        [
            mp.fsum(a * b * at((i, a), (j, b)) for a in (1, -1) for b in (1, -1)) / (4 * STEP**2)
            for j in range(6)
        ]
        for i in range(6)
    ]
    array = functools.partial(np.array, dtype=object)
    return SimpleNamespace(
        value=array(at()),
        of_y_pred=array(slopes[:6]).reshape(SHAPE),
        of_y=array(slopes[6:]).reshape(SHAPE),
        hessian=array(hessian).reshape(*SHAPE, *SHAPE),
    )


@functools.cache
def program(loss):
    """What is compared with the reference, in one compiled function."""

    @jax.jit
    def compute(y_pred, y):
        value, (of_y_pred, of_y) = jax.value_and_grad(loss, (0, 1))(y_pred, y)
        return SimpleNamespace(
            value=value, of_y_pred=of_y_pred, of_y=of_y, hessian=jax.hessian(loss)(y_pred, y)
        ).__dict__

    return lambda y_pred, y: SimpleNamespace(**compute(y_pred, y))


@functools.cache
def twin(loss):
    """The loss with one float32 stage."""
    return lambda *arrays: loss(*(a.astype(jnp.float32) for a in arrays)).astype(jnp.float64)


@pytest.mark.parametrize(("loss", "interval", "value"), CASES)
@pytest.mark.parametrize(("kind", "seed"), SEEDS[1:4])
def test_loss_has_its_digits_and_its_twin_has_not(loss, interval, value, kind, seed):
    y_pred, y = numbers(interval, kind, seed)
    want = reference(value, y_pred, y)
    found, cut = program(loss)(y_pred, y), program(twin(loss))(y_pred, y)
    assert error(found.value, want.value) < VALUE
    assert error(found.of_y_pred, want.of_y_pred) < FIRST
    assert error(found.of_y, want.of_y) < FIRST
    flat = max(abs(want.hessian.ravel())) < mp.mpf(10) ** -20
    assert not np.any(found.hessian) if flat else error(found.hessian, want.hessian) < SECOND
    if kind == "dyadic":  # float32 holds ten bits, and their products.
        return
    assert error(cut.value, want.value) > 100 * VALUE
    assert error(cut.of_y_pred, want.of_y_pred) > 100 * FIRST
    assert error(cut.of_y, want.of_y) > 100 * FIRST
    if np.any(found.hessian != np.round(found.hessian)):  # A constant 2 has no digits to lose.
        assert error(cut.hessian, want.hessian) > 100 * SECOND
