"""Solves of every length and size: clocks, first steps and tolerances at the edges of a dtype."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops import solve as lean
from sciml_lux.ops.solve import tableaus
from tests.conftest import X64

DTYPE = jnp.float64 if X64 else jnp.float32
SIZES = (1e-300, 1e-30, 1e30, 1e300) if X64 else (1e-30, 1e-18, 1e18, 1e30)
CLOSE = {"rtol": 2e-5}


def array(value):
    return jnp.asarray(value, DTYPE)


@functools.partial(jax.jit, static_argnames=("samples", "dense"))
def relax(t0, t1, u0, aim, rate, ts=None, rtol=1e-6, atol=1e-6, **options):
    """du/dt = rate (aim - u)."""
    return lean.solve(lambda t, u, p: p[1] * (p[0] - u), t0, t1, u0, (aim, rate), ts=ts, rtol=rtol,
                      atol=atol, tableau=tableaus.TSIT5, max_steps=512, **options)  # fmt: skip


@pytest.mark.parametrize("span", SIZES)
def test_spans_of_every_length(span):
    end = lambda t0, t1: relax(t0, t1, array(1.0), array(0.0), array(1 / span))
    gradient = jax.value_and_grad(lambda t1: end(array(0.0), t1).y1)
    ahead, slope = gradient(array(span))
    np.testing.assert_allclose([ahead, slope * array(span)], [np.exp(-1), -np.exp(-1)], **CLOSE)
    np.testing.assert_allclose(end(array(span), array(0.0)).y1, np.e, **CLOSE)


def test_states_of_every_size_together():
    u0 = jnp.stack([array(size) for size in SIZES])
    found = relax(array(0.0), array(1.0), u0, array(0.0), array(1.0), atol=array(0.0))
    np.testing.assert_allclose(found.y1 / u0, np.exp(-1), **CLOSE)


@pytest.mark.parametrize(("start", "aim"), [(0.0, 0.0), (0.0, 1.0), ([1.0, 0.0], 0.0)])
def test_relative_tolerance_alone_where_the_state_is_zero(start, aim):
    u0 = array(start)
    found = relax(array(0.0), array(1.0), u0, array(aim), array(1.0), rtol=1e-5, atol=0.0)
    want = aim + (np.asarray(start) - aim) * np.exp(-1)
    assert int(found.result) == lean.SUCCESSFUL and int(found.num_steps) < 40
    np.testing.assert_allclose(found.y1, want, rtol=1e-4)


def test_tolerances_of_components_are_broadcast_to_the_samples():
    u0 = jnp.ones((3, 2), DTYPE)
    run = lambda atol: relax(array(0.0), array(2.0), u0, array(0.0), array([1.0, 2.0])[None],
                             rtol=0.0, atol=atol, samples=1)  # fmt: skip
    loose, tight, first = map(run, (array([1e-2, 1e-2]), array([1e-5, 1e-5]), array([1e-5, 1e9])))
    assert int(loose.num_steps) < int(first.num_steps) < int(tight.num_steps)
    whole = run(jnp.broadcast_to(array([1e-5, 1e9]), (3, 2)))
    np.testing.assert_array_equal(whole.y1, first.y1)


@pytest.mark.parametrize(("shape", "tolerance"), [((2,), (3,)), ((), (3,)), ((2, 1), (2, 2))])
def test_tolerance_of_another_shape_is_refused(shape, tolerance):
    text = r"expects `atol` to be a number, or of a shape that broadcasts to that of the state, "
    with pytest.raises(ValueError, match=text):
        relax(array(0.0), array(1.0), jnp.ones(shape, DTYPE), array(0.0), array(1.0),
              atol=jnp.ones(tolerance, DTYPE))  # fmt: skip


@pytest.mark.parametrize("steps", [1000, 100_000])
def test_many_fixed_steps_in_float32_end_when_they_should(steps):
    """Sums of short steps round: 100000 of them were 99902, and 0.1 % too short."""
    zero, one = jnp.zeros((), "float32"), jnp.ones((), "float32")
    found = lean.solve(
        lambda t, u, _: -u, zero, one, one, tableau=tableaus.EULER, control=lean.Fixed(),
        dt0=1 / steps, max_steps=2 * steps,
    )  # fmt: skip
    assert int(found.num_steps) == steps
    np.testing.assert_allclose(found.y1, (1 - 1 / steps) ** steps, rtol=2e-6)


def test_many_adaptive_steps_in_float32_are_as_long_as_the_clock_says():
    """Steps limited by stability: were they longer or shorter by a rounding, it would add up."""
    zero, one = jnp.zeros((), "float32"), jnp.ones((), "float32")
    found = lean.solve(lambda t, u, rates: -rates * u, zero, one, jnp.ones(2, "float32"),
                       jnp.asarray([1.0, 1e5], "float32"), tableau=tableaus.TSIT5, rtol=1e-4,
                       atol=1e-4, max_steps=50_000)  # fmt: skip
    assert int(found.num_accepted) > 20_000
    np.testing.assert_allclose(found.y1[0], np.exp(-1), rtol=2e-5)


def test_steps_that_rounding_would_not_let_get_shorter_end_the_solve():
    """The tolerance cannot be met in float32: rejected steps get shorter, down to nothing."""
    growing = lambda t, u, _: jnp.stack([u[1], -u[0] * jnp.cos(t)])
    ends = [jnp.asarray(t, "float32") for t in (0, 50)]
    found = lean.solve(growing, *ends, jnp.asarray([1.0, 0.0], "float32"), rtol=1e-8, atol=1e-8,
                       tableau=tableaus.TSIT5, max_steps=50_000)  # fmt: skip
    assert int(found.result) == lean.NO_STEP and int(found.num_steps) < 10_000


def test_gradient_by_wanted_times_of_a_solve_of_no_length():
    """The state moves with the wanted times, which are its two ends."""

    def states(t0, t1, ts, dense):
        found = relax(t0, t1, array(1.0), array(0.0), array(2.0), ts=ts, dense=dense)
        return jnp.append(found.ys, found.between(ts[0]) if dense else found.y1)

    one = array(1.0)
    by_t0, by_t1, by_ts = jax.jacrev(states, (0, 1, 2))(one, one, jnp.stack([one, one]), True)
    np.testing.assert_allclose(by_t0, [2.0, 2.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(by_t1, [0.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(by_ts, [[-2.0, 0.0], [0.0, -2.0], [-2.0, 0.0]], rtol=1e-6)
    # A growing horizon that begins at nothing: of y(c t1), the derivative is -2 c y.
    ends = jax.vmap(jax.jacrev(lambda t1: states(array(0.0), t1, t1 * array([0.5, 1.0]), False)))
    found = ends(array([0.0, 1.0]))
    want = [-2 * c * np.exp(-2 * c * t1) for t1 in (0, 1) for c in (0.5, 1, 1)]
    np.testing.assert_allclose(found.ravel(), want, rtol=1e-4)


@pytest.mark.parametrize(
    ("u0", "args", "options", "error", "text"),
    [
        ({}, None, {}, ValueError, "`solve` expects `y0` to have at least one array, got {}"),
        (1.0, None, {}, TypeError, "`y0` to hold floating or complex arrays, got 1.0. Convert it"),
        (jnp.ones(1, int), None, {}, TypeError, "`y0` to hold floating or complex arrays, got int"),
        (jnp.ones(1), "rate", {}, TypeError, "`args` to be a tree of arrays, got 'rate'. Convert"),
        (jnp.ones(1), None, {"atol": None}, ValueError, "`atol` to be a number for some leaf, got"),
        (jnp.ones(1), None, {"ts": jnp.ones(0)}, ValueError, "at least one time in `ts`, got none"),
    ],
    ids=["no array", "number", "integers", "text", "no tolerance", "no times"],
)
def test_what_is_not_a_problem_is_refused(u0, args, options, error, text):
    with pytest.raises(error, match=text):
        field = lambda t, u, args: jax.tree.map(jnp.negative, u)
        lean.solve(field, array(0.0), array(1.0), u0, args, tableau=tableaus.TSIT5, **options)
