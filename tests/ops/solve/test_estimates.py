"""Estimates of a solve against its recorded steps, taken again by the definition in 70 digits."""

import functools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from sciml_lux.ops import solve as lean
from sciml_lux.ops.solve import tableaus
from sciml_lux.ops.solve.forward._loop import run
from sciml_lux.ops.solve.steps._form import arrays
from sciml_lux.ops.solve.steps._given import Given, Options, Steering
from tests.conftest import X64, needs_x64, slow

DTYPE = jnp.float64 if X64 else jnp.float32
# The initial state, two parameters, t0 and t1.
POINT = np.array([0.7, -0.4, 2.3, 0.8, 0.1, 2.9])
OPTIONS = {"rtol": 1e-6, "atol": 1e-6, "dt0": 0.3, "max_steps": 32}
WEIGHTS = (1e6, 1e12, 1.0)
DIRECTION = np.cos(np.arange(6.0))


def pendulum(library, t, u, p):
    return [u[1], -p[0] * library.sin(u[0]) + p[1] * library.cos(1.7 * t) * u[1]]


def field(t, u, p):
    return jnp.stack(pendulum(jnp, t, u, p))


def solved(x, tableau=tableaus.TSIT5, **options):
    return lean.solve(field, x[4], x[5], x[:2], x[2:4], tableau=tableau, estimates=True,
                      **{**OPTIONS, **options})  # fmt: skip


def loss(x, capacity):
    """A sum of the estimates and the state at the end; and the estimates."""
    end = solved(x, capacity=capacity)
    terms = [w * e for w, e in zip(WEIGHTS, end.estimates, strict=True)]
    return sum(terms) + end.y1[0], end.estimates


gradient = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)


def recorded_lengths():
    x, rtol = jnp.asarray(POINT), [jnp.asarray(OPTIONS["rtol"])]
    options = Options(tableaus.TSIT5, lean.Adaptive(), OPTIONS["max_steps"], 32, 0)
    given = Given(x[4], x[5], x[6:], [x[:2]], [])
    steering = Steering(rtol, rtol, jnp.asarray(OPTIONS["dt0"]))
    form = arrays(lambda parameters, t, u: [field(t, u[0], x[2:4])])
    record = run(form, options, given, steering, True).record
    return [mpmath.mpf(float(length)) for length in record.lengths[: int(record.steps)]]


def combined(weights, stages):
    weights = [mpmath.mpf(w.numerator) / w.denominator for w in weights]
    return [sum(w * k[i] for w, k in zip(weights, stages, strict=False)) for i in range(2)]


def root_mean_square(values):
    return mpmath.sqrt(sum(v * v for v in values) / len(values))


def changed(t, states, apart, p):
    """How much du/dt changes along `apart`, in the middle between the last two states."""
    small = mpmath.mpf(10) ** -15
    ends = []
    for sign in (1, -1):
        at = [(a + b) / 2 + sign * small * d for a, b, d in zip(*states[5:], apart, strict=True)]
        ends.append(pendulum(mpmath, t, at, p))
    return root_mean_square([(a - b) / (2 * small) for a, b in zip(*ends, strict=True)])


def replayed(lengths, x):
    """The three estimates and the first component at the end, on steps of these lengths."""
    tableau = tableaus.TSIT5
    u, p, (t0, t1) = list(x[:2]), x[2:4], x[4:6]
    passed, sums = mpmath.mpf(0), [mpmath.mpf(0)] * 3
    for length in lengths:
        h, stages, states = length * (t1 - t0), [], []
        for row, node in zip(tableau.a, tableau.c, strict=True):
            states.append([v + h * d for v, d in zip(u, combined(row, stages), strict=True)])
            t = t0 + passed * (t1 - t0) + h * mpmath.mpf(node.numerator) / node.denominator
            stages.append(pendulum(mpmath, t, states[-1], p))
        error = root_mean_square([h * e for e in combined(tableau.b_error, stages)])
        apart = [a - b for a, b in zip(states[6], states[5], strict=True)]
        rate = changed(t, states, apart, p) / root_mean_square(apart)
        terms = (abs(h) * error, error**2, rate)
        sums = [a + b for a, b in zip(sums, terms, strict=True)]
        u = [v + h * d for v, d in zip(u, combined(tableau.b, stages), strict=True)]
        passed += length
    return [*sums, u[0]]


def weighted(lengths, x):
    return sum(w * v for w, v in zip((*WEIGHTS, 1), replayed(lengths, x), strict=True))


def differences(function, x, delta):
    """The gradient of `function` at x, or with `delta` small its derivative along each axis."""
    ahead, back = (
        [function([v + s * delta * (i == j) for j, v in enumerate(x)]) for i in range(len(x))]
        for s in (1, -1)
    )
    return [(a - b) / (2 * delta) for a, b in zip(ahead, back, strict=True)]


@needs_x64
def test_estimates_and_their_gradient_are_those_of_the_recorded_steps():
    with mpmath.workdps(70):
        lengths, x = recorded_lengths(), [mpmath.mpf(v) for v in POINT]
        values = np.array(replayed(lengths, x)[:3], float)
        want = np.array(differences(functools.partial(weighted, lengths), x, 1e-10), float)
    assert len(lengths) > 8  # The rows that a capacity of 4 has for 32 steps.
    for capacity in (32, 4):  # All starts of steps are remembered, or one in two.
        found, estimates = gradient(jnp.asarray(POINT), capacity)
        np.testing.assert_allclose(estimates, values, rtol=1e-7)
        np.testing.assert_allclose(found, want, rtol=1e-6)


@slow
@needs_x64
def test_forward_mode_and_second_derivatives_of_estimates():
    x, direction, delta = jnp.asarray(POINT), jnp.asarray(DIRECTION), mpmath.mpf(10) ** -10
    total = lambda x: loss(x, 4)[0]
    with mpmath.workdps(70):
        at = functools.partial(weighted, recorded_lengths())
        moved = [[mpmath.mpf(v) + s * delta * d for v, d in zip(POINT, DIRECTION, strict=True)]
                 for s in (1, -1)]  # fmt: skip
        slope = float((at(moved[0]) - at(moved[1])) / (2 * delta))
        ahead, back = (differences(at, x, delta) for x in moved)
        along = [float((a - b) / (2 * delta)) for a, b in zip(ahead, back, strict=True)]
    np.testing.assert_allclose(jax.jit(jax.jvp, static_argnums=0)(total, (x,), (direction,))[1],
                               slope, rtol=1e-7)  # fmt: skip
    of_gradient = jax.jit(lambda x: jax.jvp(jax.grad(total), (x,), (direction,))[1])
    np.testing.assert_allclose(of_gradient(x), along, rtol=1e-6)


@needs_x64
def test_batch_has_the_estimates_of_each_by_itself():
    points = jnp.asarray(POINT * np.array([[1], [0.5], [1.7]]))
    batched = jax.jit(jax.vmap(lambda x: gradient(x, 32)))(points)
    for i in range(3):
        found, want = jax.tree.map(lambda v, i=i: v[i], batched), gradient(points[i], 32)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), found, want)


def test_without_estimates_the_steps_are_taken_once():
    x, programs = jnp.asarray(POINT, DTYPE), []
    for asked in (False, True):
        solve = lambda x, asked=asked: lean.solve(
            field, x[4], x[5], x[:2], x[2:4], tableau=tableaus.TSIT5, estimates=asked, **OPTIONS
        )
        programs.append(str(jax.make_jaxpr(solve)(x)))
    assert ["dynamic_scan" in program for program in programs] == [False, True]
    # Nor are they remembered: the one array of all steps is their lengths.
    assert ["[32]" in program for program in programs] == [False, True]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_sums_over_thousands_of_steps_are_in_float32(dtype):
    """du/dt = t, of which Heun estimates the error of each step as h²/2, the same for all."""
    steps = 2048

    def estimates(scale):
        t0, t1 = jnp.zeros((), "float32"), jnp.ones((), "float32")
        return lean.solve(
            lambda t, u, scale: scale * t.astype(dtype), t0, t1, jnp.zeros((), dtype), scale,
            tableau=tableaus.HEUN, control=lean.Fixed(), dt0=1 / steps, max_steps=steps,
            estimates=True,
        ).estimates  # fmt: skip

    scale = jnp.ones((), dtype)
    values = jax.jit(estimates)(scale)
    gradient = jax.jit(jax.grad(lambda s: 1e6 * estimates(s).local_error))(scale)
    assert values.stiffness is None and values.local_error.dtype == jnp.float32
    assert gradient.dtype == dtype
    # The field rounds t to its dtype, so that single errors are off, to both sides.
    close = {"rtol": 1e-2}
    np.testing.assert_allclose(float(values.local_error), 0.5 / steps**2, **close)
    np.testing.assert_allclose(float(gradient), 1e6 * 0.5 / steps**2, **close)


def test_steps_without_an_error_have_no_error_and_a_gradient():
    """A constant solution: the error and the difference of two stages are 0 in every step."""
    still = lambda rate: lean.solve(
        lambda t, u, rate: rate * u, jnp.zeros((), DTYPE), jnp.ones((), DTYPE),
        jnp.zeros(2, DTYPE), rate, tableau=tableaus.TSIT5, estimates=True,
    ).estimates  # fmt: skip
    total = lambda rate: sum(still(rate))
    found = jax.jit(jax.value_and_grad(total))(jnp.ones((), DTYPE))
    np.testing.assert_array_equal(found, 0.0)


def test_stiffness_is_the_fastest_rate():
    """Each step estimates the rate 50, also the first, whose stages are equal in float32."""
    field = lambda t, u, _: -50 * (u - jnp.cos(t))
    end = lean.solve(
        field, jnp.zeros((), DTYPE), jnp.asarray(4.0, DTYPE), jnp.full(1, 1.5, DTYPE),
        tableau=tableaus.TSIT5, rtol=1e-3, atol=1e-3, estimates=True,
    )  # fmt: skip
    mean = float(end.estimates.stiffness) / int(end.num_accepted)
    np.testing.assert_allclose(mean, 50, rtol=1e-12 if X64 else 1e-5)


def test_method_without_an_error_estimate_is_refused():
    with pytest.raises(ValueError, match="for estimates=True, got RK4. Take another, such as"):
        solved(jnp.asarray(POINT, DTYPE), tableaus.RK4, control=lean.Fixed())
