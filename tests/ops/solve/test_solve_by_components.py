"""Steps by components are those by arrays, with their derivatives, of one and of a batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.internal import Adaptive, Fixed, solve, tableaus, with_fine_interpolant
from sciml_lux.ops.kernels import _in_chunks
from sciml_lux.ops.solve import MAX_STEPS

REAL = jnp.zeros(0).dtype
PRECISE = 1e-13 if REAL.itemsize == 8 else 1e-4
NUMBER = 7
SPAN32 = (jnp.float32(0), jnp.float32(1))
OPTIONS = {"rtol": 1e-5, "atol": 1e-5, "dt0": 0.01, "max_steps": 200}


def field(t, y, p):
    """Lorenz's equations, with a leaf beside the three and a parameter that all share."""
    x, (rates, drift) = y["x"], p
    turn = [
        rates[0] * (x[1] - x[0]),
        x[0] * (rates[1] - x[2]) - x[1],
        x[0] * x[1] - rates[2] * x[2],
    ]
    return {"x": jnp.stack(turn), "sum": drift * jnp.sum(x) + jnp.sin(t)}


def given():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(NUMBER, 3)) + np.array([1, 1, 20])
    rates = np.array([10, 28, 8 / 3]) * (1 + 0.1 * rng.normal(size=(NUMBER, 3)))
    y0 = {"x": jnp.asarray(x, REAL), "sum": jnp.zeros(NUMBER, REAL)}
    return y0, jnp.asarray(rates, REAL), jnp.asarray(0.3, REAL)


@pytest.fixture(autouse=True)
def chunks_of_three(monkeypatch):
    """Seven trajectories are three chunks, of which the last overlaps that before it."""
    monkeypatch.setattr(_in_chunks, "CHUNK", 3)


def ends(by_components, y0, rates, drift, t1, **options):
    """Of both forms: the result."""
    t0, t1 = jnp.asarray(0.0, REAL), jnp.asarray(t1, REAL)
    options = {"tableau": tableaus.TSIT5, "is_member": True, **OPTIONS, **options}
    options["by_components"] = by_components
    found = jax.vmap(lambda y, r: solve(field, t0, t1, y, (r, drift), **options))(y0, rates)
    assert bool(found.why_by_arrays.value) != by_components
    return found


def close(one, other, precise=PRECISE):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=precise * max(1, np.max(np.abs(b))))


@functools.partial(jax.jit, static_argnums=(0, 1))
def ends_and_gradients(by_components, is_member, y0, rates, drift):
    def loss(*arguments):
        times = jnp.asarray([0.1, 0.25], REAL)
        found = ends(by_components, *arguments, 0.4, ts=times, is_member=is_member)
        squares = [jnp.sum(x**2) for x in jax.tree.leaves((found.y1, found.ys))]
        return sum(squares), found

    return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(y0, rates, drift)


@functools.cache
def by_arrays():
    return ends_and_gradients(False, False, *given())


@pytest.mark.parametrize("is_member", [True, False], ids=["solved again", "recorded"])
def test_steps_states_and_gradients_are_those_of_vmap(is_member):
    (_, found), slopes = ends_and_gradients(True, is_member, *given())
    (_, wanted), wanted_slopes = by_arrays()
    np.testing.assert_array_equal(found.num_steps, wanted.num_steps)
    np.testing.assert_array_equal(found.num_accepted, wanted.num_accepted)
    assert len(set(found.num_steps.tolist())) > 1  # Each has its own.
    close((found.y1, found.ys, found.t), (wanted.y1, wanted.ys, wanted.t))
    close(slopes, wanted_slopes, 100 * PRECISE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "second", [jax.hessian, lambda f: jax.jacrev(jax.grad(f))], ids=["forward", "reverse"]
)
def test_second_derivatives_through_chunks_are_those_of_vmap(second):
    y0, rates, _ = given()

    def curvature(by_components):
        def loss(drift):
            # Fewer rows than steps: in most programs of ensembles.
            found = ends(by_components, y0, rates, drift, 0.05, max_steps=20, capacity=4)
            return jnp.sum(jnp.square(found.y1["sum"])) + jnp.sum(found.y1["x"])

        return jax.jit(second(loss))(jnp.asarray(0.3, REAL))

    close(curvature(True), curvature(False), 100 * PRECISE)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"capacity": 4},
        {"max_steps": 2000},
        {"control": Fixed(), "dt0": 0.01},
        {"control": Adaptive(p=0.3, i=0.3, d=0.1), "dt0": None},
        {"tableau": with_fine_interpolant(tableaus.DOPRI5)},
        {"tableau": tableaus.HEUN, "rtol": 1e-3, "atol": 1e-3},
        {"tableau": tableaus.VERN7},
        {"rtol": 1e-4, "atol": {"x": 1e-5, "sum": None}},
    ],
    ids=[
        "few-rows",
        "many-steps",
        "fixed",
        "pid",
        "dopri5",
        "heun",
        "vern7",
        "outside-of-the-norm",
    ],
)
def test_options_are_those_of_vmap(options):
    @functools.partial(jax.jit, static_argnums=0)
    def both(by_components, y0, rates, drift):
        def loss(*arguments):
            found = ends(by_components, *arguments, 0.3, **options)
            return sum(jnp.sum(x**2) for x in jax.tree.leaves(found.y1)), found

        return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(y0, rates, drift)

    (_, found), slopes = both(True, *given())
    (_, wanted), wanted_slopes = both(False, *given())
    np.testing.assert_array_equal(found.num_steps, wanted.num_steps)
    close(found.y1, wanted.y1, 10 * PRECISE)
    close(slopes, wanted_slopes, 1000 * PRECISE)


def test_a_trajectory_that_fails_is_alone_and_padding_is_not_seen():
    y0, rates, drift = given()
    rates = rates.at[2, 1].set(jnp.nan).at[4].set(1e6)

    @jax.jit
    def slopes(y0, rates):
        def loss(y0, rates):
            found = ends(True, y0, rates, drift, 0.4, max_steps=40, rtol=1e-3, atol=1e-3)
            kept = found.result == 1
            ys = jnp.where(kept[:, None], found.y1["x"], 0.0)
            return jnp.sum(ys), found

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(y0, rates)

    (_, found), (dy, dr) = slopes(y0, rates)
    good = np.array([True, True, False, True, False, True, True])
    np.testing.assert_array_equal(found.result == 1, good)
    assert found.result[4] == MAX_STEPS and found.num_steps.shape == (NUMBER,)
    finite = np.isfinite(np.asarray(dy["x"])).all(axis=1) & np.isfinite(np.asarray(dr)).all(axis=1)
    np.testing.assert_array_equal(finite, good)


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.parametrize(
    ("given", "options", "reason"),
    [
        (lambda t, y, p: -jnp.sort(y), {}, "`sort`"),
        (
            lambda t, y, p: -y * jnp.sum(p),
            {"args": jnp.ones(2000, jnp.float32)},
            "2003 components, more than 128",
        ),
        (lambda t, y, p: -y, {"dense": True}, "The state between the steps is wanted."),
        (lambda t, y, p: -y, {"estimates": True}, "Estimates are wanted."),
        (lambda t, y, p: -y, {"samples": 1}, "Several samples have their steps in common."),
        (lambda t, y, p: -y, {"by_components": False}, "By arrays was asked for."),
        (lambda t, y, p: -y * p.shape[0], {"args": jax.random.key(0)[None]}, "random keys"),
    ],
    ids=["order", "many", "dense", "estimates", "samples", "asked", "keys"],
)
def test_why_steps_are_by_arrays_is_told(given, options, reason):
    options = {"tableau": tableaus.TSIT5, "by_components": True, "args": None, **options}
    found = jax.eval_shape(
        lambda y0: solve(given, jnp.float32(0), jnp.float32(1), y0, **options),
        jnp.ones(3, jnp.float32),
    )
    assert reason in found.why_by_arrays.value
    assert found.y1.shape == (3,)


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.parametrize(
    "given",
    [
        lambda t, y, p: -y[np.array([1, 0])],
        lambda t, y, p: -y[p["places"]],
        lambda t, y, p: -jnp.take_along_axis(y, p["places"], 0),
        lambda t, y, p: -y + y.at[jnp.int32([5])].get(mode="fill", fill_value=0),
    ],
    ids=["closed-over", "argument", "along", "outside"],
)
def test_places_that_are_known_are_no_reason(given):
    places = {"places": np.array([1, 0], np.int32)}
    found = jax.eval_shape(
        lambda y0: solve(given, *SPAN32, y0, places, tableau=tableaus.TSIT5, by_components=True),
        jnp.ones(2, jnp.float32),
    )
    assert found.why_by_arrays.value == ""


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.parametrize(
    ("given", "y0", "reason"),
    [
        (lambda t, y, p: jnp.nextafter(y, y + 1), jnp.ones(2, jnp.float32), "'nextafter'"),
        (
            lambda t, y, p: [-y[0], y[1]],
            [jnp.ones(2, jnp.float32), jnp.zeros(0, jnp.float32)],
            "no components",
        ),
    ],
    ids=["no-derivative", "nothing"],
)
def test_what_has_no_form_is_solved_by_arrays(given, y0, reason):
    found = jax.eval_shape(
        lambda y0: solve(given, *SPAN32, y0, tableau=tableaus.TSIT5, by_components=True), y0
    )
    assert reason in found.why_by_arrays.value
