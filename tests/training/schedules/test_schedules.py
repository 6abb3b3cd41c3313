"""Schedules, and Adam under each of them, against NumPy's longdouble."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sciml_lux import losses, nn, precision, training
from sciml_lux.training import schedules
from tests.conftest import X64, needs_x64
from tests.training.models import line_data, tiny_state

pytestmark = pytest.mark.any_precision
L = np.longdouble
PI = L("3.14159265358979323846264338327950288")


def constant(value):
    return lambda c: L(value)


def polynomial(init, end, power, steps, begin=0):
    init, end = L(init), L(end)

    def rate(c):
        part = 1 - min(max(c - begin, 0), steps) / L(steps)
        return (init - end) * part**power + end

    return rate


def linear(init, end, steps):
    return polynomial(init, end, 1, steps)


def cosine(init, steps, alpha=0.0):
    def rate(c):
        part = (1 + np.cos(PI * min(c, steps) / steps)) / 2
        return L(init) * ((1 - L(alpha)) * part + L(alpha))

    return rate


def exponential(init, steps, factor, begin=0, staircase=False, end=None):
    def rate(c):
        power = L(c - begin) / steps
        power = np.floor(power) if staircase else power
        value = L(init) if c - begin <= 0 else L(init) * L(factor) ** power
        return value if end is None else max(value, L(end))

    return rate


def joined(parts, boundaries):
    def rate(c):
        index = sum(c >= b for b in boundaries)
        return parts[index](c - ([0, *boundaries][index]))

    return rate


def interpolated(kind, init, scales):
    bounds = [0, *sorted(scales)]
    values = [L(init)]
    for bound in bounds[1:]:
        values.append(values[-1] * L(scales[bound]))

    def rate(c):
        pieces = zip(itertools.pairwise(bounds), itertools.pairwise(values), strict=True)
        for (a, b), (start, end) in pieces:
            if a <= c < b:
                part = L(c - a) / (b - a)
                if kind == "cosine":
                    return end + (start - end) / 2 * (1 + np.cos(PI * part))
                return start + (end - start) * part
        return values[-1]

    return rate


def steps_down(init, scales):
    def rate(c):
        return L(init) * np.prod([L(s) for b, s in scales.items() if c >= b], initial=L(1))

    return rate


def warmup_cosine(init, peak, warmup, steps, end):
    down = cosine(peak, steps - warmup, L(end) / L(peak))
    return joined([linear(init, peak, warmup), down], [warmup])


CYCLES = [
    {"init_value": 0.0, "peak_value": 0.1, "warmup_steps": 7, "decay_steps": 60, "end_value": 0.01},
    {
        "init_value": 0.02,
        "peak_value": 0.05,
        "warmup_steps": 9,
        "decay_steps": 90,
        "end_value": 0.0,
    },
]

CASES = {
    "constant_schedule": (schedules.constant_schedule(0.03), constant(0.03)),
    "cosine_decay_schedule": (
        schedules.cosine_decay_schedule(0.1, 170, 0.1),
        cosine(0.1, 170, 0.1),
    ),
    "cosine_onecycle_schedule": (
        schedules.cosine_onecycle_schedule(190, 0.1),
        interpolated("cosine", L(0.1) / 25, {57: 25, 190: 1 / (L(25) * 10**4)}),
    ),
    "exponential_decay": (
        schedules.exponential_decay(0.1, 30, 0.7, 5, end_value=0.01),
        exponential(0.1, 30, 0.7, 5, end=0.01),
    ),
    "join_schedules": (
        schedules.join_schedules(
            [schedules.linear_schedule(0.0, 0.1, 33), schedules.exponential_decay(0.1, 30, 0.7)],
            [33],
        ),
        joined([linear(0.0, 0.1, 33), exponential(0.1, 30, 0.7)], [33]),
    ),
    "linear_onecycle_schedule": (
        schedules.linear_onecycle_schedule(190, 0.1),
        interpolated("linear", L(0.1) / 25, {57: 25, 161: 1 / L(25), 190: 1 / L(10**4)}),
    ),
    "linear_schedule": (schedules.linear_schedule(0.1, 0.01, 170), linear(0.1, 0.01, 170)),
    "piecewise_constant_schedule": (
        schedules.piecewise_constant_schedule(0.1, {40: 0.7, 110: 0.3}),
        steps_down(0.1, {40: 0.7, 110: 0.3}),
    ),
    "piecewise_interpolate_schedule": (
        schedules.piecewise_interpolate_schedule("cosine", 0.1, {43: 0.7, 119: 0.3}),
        interpolated("cosine", 0.1, {43: 0.7, 119: 0.3}),
    ),
    "polynomial_schedule": (
        schedules.polynomial_schedule(0.1, 0.01, 3, 170, 11),
        polynomial(0.1, 0.01, 3, 170, 11),
    ),
    "sgdr_schedule": (
        schedules.sgdr_schedule(CYCLES),
        joined([warmup_cosine(0.0, 0.1, 7, 60, 0.01), warmup_cosine(0.02, 0.05, 9, 90, 0.0)], [60]),
    ),
    "warmup_constant_schedule": (
        schedules.warmup_constant_schedule(0.0, 0.1, 30),
        linear(0.0, 0.1, 30),
    ),
    "warmup_cosine_decay_schedule": (
        schedules.warmup_cosine_decay_schedule(0.0, 0.1, 30, 170, 0.01),
        warmup_cosine(0.0, 0.1, 30, 170, 0.01),
    ),
    "warmup_exponential_decay_schedule": (
        schedules.warmup_exponential_decay_schedule(0.0, 0.1, 30, 40, 0.7, staircase=True),
        joined([linear(0.0, 0.1, 30), exponential(0.1, 40, 0.7, staircase=True)], [30]),
    ),
}
MSE = losses.MSELoss()


def adam(rate, steps, data, start, every=1):
    """Adam on the squared error of w x + b, in longdouble."""
    x, y = (np.asarray(a, L) for a in data)
    p, m, v = np.asarray(start, L), np.zeros(2, L), np.zeros(2, L)
    b1, b2, eps = L(0.9), L(0.999), L(1e-8)
    for k in range(1, steps + 1):
        error = x * p[0] + p[1] - y
        g = np.asarray([(2 * error * x).mean(), (2 * error).mean()], L)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        p = p - rate(k - 1) * (m / (1 - b1**k)) / (np.sqrt(v / (1 - b2**k)) + eps)
    return p


def trained(optimizer, steps):
    tstate = tiny_state(jnp.float64, optimizer, nn.Dense(1, 1))
    start = [tstate.parameters.weight[0, 0], tstate.parameters.bias[0]]
    data = line_data(jnp.float64)
    ps = training.fit(tstate, MSE, data, steps=steps, progress=False).tstate.parameters
    return np.asarray([ps.weight[0, 0], ps.bias[0]]), data, start


def test_every_schedule_of_optax_has_its_case():
    made = {n for n in vars(optax.schedules) if n.endswith(("_schedule", "_decay")) and n[0] != "_"}
    made |= {"join_schedules"}
    assert made == set(CASES) == set(vars(schedules)) & (made | set(CASES))


@pytest.mark.parametrize("name", sorted(CASES))
def test_schedule_agrees_with_longdouble(name):
    rate, reference = CASES[name]
    counts = [0, 1, 17, 29, 30, 31, 57, 99, 160, 199, 500]
    found = [rate(jnp.asarray(c, jnp.int32)) for c in counts]
    assert {f.dtype.name for f in found} == {"float64" if X64 else "float32"}
    tolerance = 1e-14 if X64 else 2e-5
    want = np.asarray([reference(c) for c in counts], float)
    np.testing.assert_allclose(np.asarray(found), want, rtol=tolerance, atol=tolerance / 100)


@needs_x64
@pytest.mark.parametrize("name", sorted(CASES))
def test_two_hundred_adam_steps_follow_longdouble(name):
    rate, reference = CASES[name]
    found, data, start = trained(optax.adam(rate), 200)
    want = adam(reference, 200, data, start)
    np.testing.assert_allclose(found, want.astype(float), rtol=1e-12)


@needs_x64
@pytest.mark.filterwarnings("ignore::sciml_lux.training.OptimizerPrecisionWarning")
@pytest.mark.parametrize("make", [optax.exponential_decay, optax.linear_schedule])
def test_schedules_of_optax_alone_fail_the_same_test(make):
    arguments = {"exponential_decay": (0.1, 30, 0.7), "linear_schedule": (0.1, 0.01, 170)}
    values = arguments[make.__name__]
    reference = exponential(*values) if make is optax.exponential_decay else linear(*values)
    found, data, start = trained(optax.adam(make(*values)), 200)
    error = np.abs(found / adam(reference, 200, data, start).astype(float) - 1).max()
    assert error > 2e-11


@needs_x64
@pytest.mark.parametrize("name", sorted(CASES))
def test_whole_training_step_is_clean_under_every_schedule(name):
    tstate = tiny_state(jnp.float64, optax.adam(CASES[name][0]))

    def step(tstate, data):
        return training.single_train_step(training.AutoReverse(), MSE, data, tstate)

    precision.assert_no_narrowing(step, tstate, line_data(jnp.float64), grads=0)


@needs_x64
def test_multi_steps_accumulates_in_float64():
    found, data, start = trained(training.multi_steps(optax.adam(0.03), 3), 60)
    want = adam(constant(0.03), 20, data, start)
    np.testing.assert_allclose(found, want.astype(float), rtol=1e-12)


def test_multi_steps_keeps_the_dtype_of_the_parameters(dtype):
    tstate = tiny_state(dtype, training.multi_steps(optax.sgd(0.1), 2))
    sums = tstate.optimizer_state.acc_grads
    assert sums.layer_1.weight.dtype == dtype


def test_inject_hyperparams_takes_an_exact_schedule(dtype):
    optimizer = optax.inject_hyperparams(optax.sgd)(schedules.exponential_decay(0.1, 10, 0.5))
    tstate = tiny_state(dtype, optimizer)
    result = training.fit(tstate, MSE, line_data(dtype), steps=10, progress=False)
    rate = result.tstate.optimizer_state.hyperparams["learning_rate"]
    np.testing.assert_allclose(rate, 0.1 * 0.5**0.9, rtol=1e-12 if X64 else 1e-6)


def test_multi_steps_passes_on_what_the_optimiser_asks_for(dtype):
    plateau = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(patience=2))
    tstate = tiny_state(dtype, training.multi_steps(plateau, 2))
    mse = losses.MSELoss()
    step = lambda ts: training.single_train_step(training.AutoReverse(), mse, line_data(dtype), ts)
    _, first, _, tstate = step(tstate)
    for _ in range(5):
        _, loss, _, tstate = step(tstate)
    assert loss < first


RAW = optax.exponential_decay(0.013, 10, 0.9)
EXACT = training.exact_schedule(RAW)
TAKE_A_SCHEDULE = {
    "inject": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=EXACT),
    "inject clip": lambda: optax.chain(
        optax.inject_hyperparams(optax.clip_by_global_norm)(max_norm=EXACT), optax.sgd(0.1)
    ),
    "weight decay": lambda: optax.chain(optax.add_decayed_weights(EXACT), optax.scale(-0.1)),
    "momo": lambda: optax.contrib.momo(EXACT),
}


@pytest.mark.parametrize("name", TAKE_A_SCHEDULE)
@pytest.mark.parametrize("narrow", ["float32", "bfloat16"])
def test_exact_schedule_gives_way_to_narrower_parameters(name, narrow):
    tstate, data = tiny_state(narrow, TAKE_A_SCHEDULE[name]()), line_data(narrow)
    for _ in range(2):
        tstate = training.single_train_step(training.AutoReverse(), MSE, data, tstate)[3]
    assert precision.tree_dtype(tstate.parameters) == narrow
    moved = training.train_steps(training.AutoReverse(), MSE, data, tstate, steps=2)[2]
    assert precision.tree_dtype(moved.parameters) == narrow


@pytest.mark.parametrize("steps", [19, 49, 98, 103])  # Where optax's own is NaN in one of them.
def test_polynomial_of_a_fractional_power_ends_at_its_end(steps):
    rate = jax.jit(schedules.polynomial_schedule(0.013, 0.001, 1.7, steps))
    for count in (steps, steps + 1):
        np.testing.assert_allclose(rate(jnp.asarray(count, jnp.int32)), 0.001, rtol=1e-6)


def test_polynomial_of_no_steps_stays_where_it_is():
    assert float(schedules.polynomial_schedule(0.5, 0.1, 2, 0)(7)) == 0.5
    assert schedules.polynomial_schedule.__name__ == "polynomial_schedule"


@pytest.mark.parametrize("compiled", [False, True])
def test_schedule_of_an_integer_count(compiled):
    table = jnp.asarray([0.5, 0.25, 0.125], jnp.float32)
    count = jnp.asarray(2, jnp.int32)
    branches = [lambda: 0.5, lambda: 0.25]
    for schedule, expected in (
        (lambda count: table[count], 0.125),
        (lambda count: jax.lax.switch(count // 2, branches), 0.25),
        (lambda count: jax.lax.fori_loop(0, count, lambda _, v: v * 0.5, 0.5), 0.125),
    ):
        exact = training.exact_schedule(schedule)
        assert float((jax.jit(exact) if compiled else exact)(count)) == expected
