"""Second derivatives of a solve against differences of the same steps in 40 digits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from sciml_lux.ops import solve as lean
from sciml_lux.ops.solve import tableaus
from sciml_lux.ops.solve.forward._loop import run
from sciml_lux.ops.solve.steps._form import arrays
from sciml_lux.ops.solve.steps._given import Given, Options, Steering
from tests.conftest import needs_x64

TABLEAU = lean.with_fine_interpolant(tableaus.TSIT5)
# The initial state, two parameters, t0, t1 and two times inside.
POINT = np.array([0.7, -0.4, 2.3, 0.8, 0.1, 2.9, 0.9, 2.2])
OPTIONS = {"rtol": 1e-5, "atol": 1e-5, "dt0": 0.3, "max_steps": 32}


def pendulum(library, t, u, p):
    return [u[1], -p[0] * library.sin(u[0]) + p[1] * library.cos(1.7 * t) * u[1]]


def field(t, u, p):
    return jnp.stack(pendulum(jnp, t, u, p))


def of_states(library, ys, y1):
    """A number that depends on all states, and not linearly."""
    terms = [library.cos(y[0]) * y[1] + y[0] ** 2 for y in [*ys, y1]]
    return sum(weight * term for weight, term in zip((1.0, -0.7, 0.4), terms, strict=True))


def loss(x, capacity):
    found = lean.solve(field, x[4], x[5], x[:2], x[2:4], ts=x[6:], tableau=TABLEAU,
                       capacity=capacity, **OPTIONS)  # fmt: skip
    return of_states(jnp, found.ys, found.y1)


def recorded_lengths():
    x, rtol = jnp.asarray(POINT), [jnp.asarray(1e-5)]
    options = Options(TABLEAU, lean.Adaptive(), OPTIONS["max_steps"], 32, 0)
    given = Given(x[4], x[5], x[6:], [x[:2]], [])
    steering = Steering(rtol, rtol, jnp.asarray(OPTIONS["dt0"]))
    form = arrays(lambda parameters, t, u: [field(t, u[0], x[2:4])])
    record = run(form, options, given, steering, True).record
    return [mpmath.mpf(float(length)) for length in record.lengths[: int(record.steps)]]


def exact(fraction):
    return mpmath.mpf(fraction.numerator) / fraction.denominator


def moved(u, h, weights, stages):
    weights = list(weights)
    change = [sum(w * k[i] for w, k in zip(weights, stages, strict=False)) for i in range(len(u))]
    return [v + h * d for v, d in zip(u, change, strict=True)]


def replayed(lengths, x):
    """`loss` on steps of these lengths, as parts of t1 - t0, by the definition of the method."""
    u, p, (t0, t1), ts = list(x[:2]), x[2:4], x[4:6], x[6:]
    rows, inside = (*TABLEAU.a, *TABLEAU.interpolant.a), TABLEAU.interpolant.p
    nodes, passed, ys = (*TABLEAU.c, *TABLEAU.interpolant.c), mpmath.mpf(0), []
    for length in lengths:
        h, stages = length * (t1 - t0), []
        start = t0 + passed * (t1 - t0)
        for row, node in zip(rows, nodes, strict=True):
            state = moved(u, h, map(exact, row), stages)
            stages.append(pendulum(mpmath, start + exact(node) * h, state, p))
        for t in ts[len(ys) :]:
            theta = (t - start) / h
            if theta <= 1:
                powers = [theta ** (j + 1) for j in range(len(inside[0]))]
                weights = [sum(map(mpmath.fmul, map(exact, q), powers)) for q in inside]
                ys.append(moved(u, h, weights, stages))
        u, passed = moved(u, h, map(exact, TABLEAU.b), stages), passed + length
    return of_states(mpmath, ys, u)


def hessian_by_differences(lengths):
    delta, size = mpmath.mpf(10) ** -10, len(POINT)
    found = np.zeros((size, size))

    def at(i, j, signs):
        x = [mpmath.mpf(v) for v in POINT]
        x[i] += signs[0] * delta
        x[j] += signs[1] * delta
        return replayed(lengths, x)

    for i in range(size):
        for j in range(i + 1):
            corners = [(1, 1), (-1, -1), (1, -1), (-1, 1)]
            values = [at(i, j, signs) for signs in corners]
            change = values[0] + values[1] - values[2] - values[3]
            found[i, j] = found[j, i] = float(change / (4 * delta**2))
    return found


@needs_x64
def test_second_derivatives_are_the_differences_of_the_recorded_steps():
    with mpmath.workdps(40):
        lengths = recorded_lengths()
        value = float(replayed(lengths, [mpmath.mpf(v) for v in POINT]))
        want = hessian_by_differences(lengths)
    x = jnp.asarray(POINT)
    np.testing.assert_allclose(loss(x, 32), value, rtol=1e-13)
    close = {"rtol": 0, "atol": 1e-11 * np.abs(want).max()}
    # All starts of steps are remembered, or one in four.
    gradient, v = jax.grad(lambda x: loss(x, 32)), jnp.cos(jnp.arange(8.0))
    along = jax.jit(lambda x: jax.jvp(gradient, (x,), (v,))[1])(x)
    np.testing.assert_allclose(along, want @ v, **close)
    found = jax.jit(jax.hessian(lambda x: loss(x, 4)))(x)
    np.testing.assert_allclose(found, want, **close)
