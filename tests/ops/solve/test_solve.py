"""solve against closed forms, diffrax, and differences of the solve on its own steps."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops import solve as lean
from sciml_lux.ops.solve import tableaus
from tests.conftest import X64, needs_x64

any_precision = pytest.mark.any_precision

DTYPE = jnp.float64 if X64 else jnp.float32
RATES = jnp.asarray([1.5, 1.0, 3.0, 1.0], DTYPE)
START = jnp.ones(2, DTYPE)
TIGHT = {"rtol": 1e-9, "atol": 1e-9} if X64 else {"rtol": 1e-5, "atol": 1e-5}
ALL = [getattr(tableaus, name) for name in sorted(vars(tableaus)) if name.isupper()]


def lotka_volterra(t, u, p):
    x, y = u
    return jnp.stack([p[0] * x - p[1] * x * y, p[3] * x * y - p[2] * y])


def solved(p=RATES, u0=START, t1=5.0, ts=None, tableau=tableaus.TSIT5, **options):
    options = {**TIGHT, "max_steps": 512, **options}
    times = None if ts is None else jnp.asarray(ts, DTYPE)
    t0, t1 = jnp.zeros((), DTYPE), jnp.asarray(t1, DTYPE)
    return lean.solve(lotka_volterra, t0, t1, u0, p, ts=times, tableau=tableau, **options)


@needs_x64
def test_gradient_of_the_published_problem():
    times = jnp.linspace(0.0, 10.0, 101)
    loss = lambda p: jnp.sum(
        solved(p, t1=10.0, ts=times, rtol=1e-11, atol=1e-11, max_steps=2048).ys
    )
    published = [8.30536266, -159.48429272, 75.20350821, -339.19509277]
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(RATES), published, rtol=2e-8)


@needs_x64
@pytest.mark.parametrize("capacity, max_steps", [(4, 256), (32, 256)])
def test_gradient_is_the_same_however_few_states_are_remembered(capacity, max_steps):
    direction = jnp.asarray([0.3, -0.2, 0.1, 0.5])

    def loss(p, **options):
        return jnp.sum(solved(p, t1=3.0, ts=[0.0, 0.7, 3.0], **options).ys)

    few = functools.partial(loss, capacity=capacity, max_steps=max_steps)
    want = jax.jit(jax.grad(functools.partial(loss, capacity=256, max_steps=256)))(RATES)
    np.testing.assert_allclose(jax.jit(jax.grad(few))(RATES), want, rtol=1e-12)
    forward = jax.jit(lambda p: jax.jvp(few, (p,), (direction,))[1])
    np.testing.assert_allclose(forward(RATES), want @ direction, rtol=1e-12)


def test_every_state_is_recorded_where_that_is_little_memory():
    def recorded(size, max_steps, **options):
        rows = f"{'f64' if X64 else 'f32'}[{{}},{size}]".format
        y0, zero = jnp.ones(size, DTYPE), jnp.zeros((), DTYPE)
        call = lambda y0: lean.solve(
            lambda t, y, _: -y, zero, zero + 1, y0,
            tableau=lean.tableaus.TSIT5, max_steps=max_steps, **options,
        ).y1.sum()  # fmt: skip
        program = str(jax.make_jaxpr(jax.grad(call))(y0))
        return [n for n in (129, max_steps) if rows(n) in program]

    fits = 2**17 // (DTYPE(0).nbytes * 4)  # A row has a time and, here, three numbers.
    assert recorded(3, fits) == [fits]
    assert recorded(3, fits + 1) == [129]  # One for the steps that are not kept.
    assert recorded(3, fits, capacity=128) == [129]


@needs_x64
@pytest.mark.parametrize("capacity", [2, 8])
def test_gradient_of_one_step_more_than_is_remembered(capacity):
    def loss(p, capacity):
        fixed = {"control": lean.Fixed(), "dt0": 1 / 9, "max_steps": 9, "capacity": capacity}
        return jnp.sum(solved(p, t1=1.0, **fixed).y1)

    found, want = (jax.jit(jax.grad(loss), static_argnums=1)(RATES, n) for n in (capacity, 9))
    np.testing.assert_allclose(found, want, rtol=1e-12)


@needs_x64
@pytest.mark.parametrize(
    "nesting",
    [jax.hessian, pytest.param(lambda f: jax.jacrev(jax.grad(f)), marks=pytest.mark.slow)],
    ids=["forward over reverse", "reverse over reverse"],
)
def test_second_derivatives_agree_in_every_nesting(nesting):
    loss = lambda p: jnp.sum(solved(p, t1=2.0, ts=[0.3, 2.0], capacity=4).ys ** 2)
    want = jax.jit(jax.jacfwd(jax.jacfwd(loss)))(RATES)
    np.testing.assert_allclose(want, want.T, rtol=1e-10)
    np.testing.assert_allclose(jax.jit(nesting(loss))(RATES), want, rtol=1e-10)


@needs_x64
def test_steps_and_gradient_are_those_of_diffrax():
    def peer(p):
        return diffrax.diffeqsolve(
            diffrax.ODETerm(lotka_volterra), diffrax.Tsit5(), 0.0, 5.0, 1e-3, START, args=p,
            stepsize_controller=diffrax.PIDController(rtol=1e-8, atol=1e-8),
        )  # fmt: skip

    def ours(p):
        return solved(p, rtol=1e-8, atol=1e-8, dt0=1e-3)

    found, theirs = jax.jit(ours)(RATES), jax.jit(peer)(RATES)
    assert int(found.num_steps) == int(theirs.stats["num_steps"])
    assert int(found.num_accepted) == int(theirs.stats["num_accepted_steps"])
    np.testing.assert_allclose(found.y1, theirs.ys[-1], rtol=1e-11)
    found = jax.jit(jax.grad(lambda p: jnp.sum(ours(p).y1)))(RATES)
    want = jax.jit(jax.grad(lambda p: jnp.sum(peer(p).ys)))(RATES)
    np.testing.assert_allclose(found, want, rtol=1e-10)


@needs_x64
def test_gradient_by_times_is_that_of_the_flow():
    def loss(t0, t1, ts):
        found = lean.solve(lotka_volterra, t0, t1, START, RATES, ts=ts, tableau=tableaus.TSIT5,
                           rtol=1e-11, atol=1e-11, max_steps=1024)  # fmt: skip
        return jnp.sum(found.y1) + jnp.sum(found.ys), found

    t0, t1, ts = jnp.asarray(0.0), jnp.asarray(3.0), jnp.asarray([1.0, 2.5])
    (by_t0, by_t1, by_ts), found = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))(t0, t1, ts)
    slope = lambda u: jnp.sum(lotka_volterra(0.0, u, RATES))
    np.testing.assert_allclose(by_t1, slope(found.y1), rtol=1e-7)
    np.testing.assert_allclose(by_ts, [slope(u) for u in found.ys], rtol=1e-5)
    # The equation does not depend on time: later everything is nothing changed.
    np.testing.assert_allclose(by_t0 + by_t1 + jnp.sum(by_ts), 0.0, atol=1e-5)


@any_precision
def test_batch_of_trajectories_is_each_by_itself():
    rates, starts = jnp.stack([RATES, 1.3 * RATES, RATES / 2]), jnp.stack([START, START, START * 3])

    def loss(p, u0):
        found = solved(p, u0, t1=2.0, ts=[0.5, 1.0], capacity=8, max_steps=128)
        return jnp.sum(found.ys) + jnp.sum(found.y1), found.num_accepted

    gradient = jax.jit(jax.vmap(jax.grad(loss, has_aux=True)))
    found, accepted = gradient(rates, starts)
    single = jax.jit(jax.grad(loss, has_aux=True))
    for i in range(3):
        want, steps = single(rates[i], starts[i])
        np.testing.assert_allclose(found[i], want, rtol=1e-12 if X64 else 1e-3)
        assert steps == accepted[i]
    assert len(set(accepted.tolist())) > 1


@any_precision
def test_batch_does_not_select_among_records():
    """A record goes through the loop as it is: no operation takes it whole but the writing."""

    def loss(p):
        return jnp.sum(solved(p, t1=1.0, capacity=16, max_steps=64).y1)

    program = jax.jit(jax.vmap(jax.grad(loss))).lower(jnp.stack([RATES] * 3)).compile().as_text()
    records = [line for line in program.splitlines() if "[3,17,2]" in line or "[17,3,2]" in line]
    assert records and not any(" select(" in line for line in records)


@any_precision
def test_samples_are_held_to_the_tolerance_one_by_one():
    stiff = jnp.asarray([[1.0]] + [[0.0]] * 99, DTYPE)
    field = lambda t, u, _: -30 * (u - stiff * jnp.cos(5 * t))
    t0, t1 = jnp.zeros((), DTYPE), jnp.ones((), DTYPE)

    def error(samples):
        run = lambda tol: lean.solve(
            field, t0, t1, jnp.zeros_like(stiff), tableau=tableaus.TSIT5, rtol=tol, atol=tol,
            samples=samples,
        ).y1  # fmt: skip
        return jnp.max(jnp.abs(jax.jit(run)(1e-3) - jax.jit(run)(1e-5)))

    assert error(1) < error(0) / 2


INSIDE = [0.0, 0.13, 0.5, 0.99, 1.0]


@functools.cache
def best():
    return jax.jit(lambda: solved(t1=1.0, ts=INSIDE, tableau=tableaus.VERN9))()


@pytest.mark.parametrize("tableau", ALL, ids=lambda t: t.name)
def test_every_method_solves_with_fixed_steps_and_inside(tableau):
    found = jax.jit(
        lambda: solved(t1=1.0, ts=INSIDE, tableau=tableau, control=lean.Fixed(), dt0=0.01)
    )()
    error = {1: 0.1, 2: 1e-3, 3: 1e-4}.get(tableau.order, 1e-7 if X64 else 1e-5)
    np.testing.assert_allclose(found.ys, best().ys, atol=error)
    np.testing.assert_allclose(found.y1, found.ys[-1], rtol=1e-5)
    assert int(found.num_steps) == 100


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_steps_are_as_long_as_asked_for_in_every_dtype(dtype):
    t0, t1 = jnp.zeros((), dtype), jnp.ones((), dtype)
    found = lean.solve(lambda t, u, _: -u, t0, t1, jnp.ones((), dtype), tableau=tableaus.EULER,
                       control=lean.Fixed(), dt0=jnp.asarray(0.25, dtype))  # fmt: skip
    assert int(found.num_steps) == 4
    np.testing.assert_allclose(found.y1.astype(jnp.float32), 0.75**4, rtol=1e-2)


@pytest.mark.parametrize(
    "field, u0, result",
    [
        (lambda t, u, _: u, jnp.inf, lean.STATE_NOT_FINITE),
        (lambda t, u, _: u / 0, 1.0, lean.FIELD_NOT_FINITE),
        (lambda t, u, _: jnp.sqrt(0.5 - t) * u, 1.0, lean.DIVERGED),
        (lambda t, u, _: 1e6 * jnp.cos(1e6 * t), 1.0, lean.MAX_STEPS),
    ],
    ids=["state", "field", "diverged", "steps"],
)
def test_failure_says_why_and_leaves_no_number(field, u0, result):
    t0, t1 = jnp.zeros((), DTYPE), jnp.ones((), DTYPE)
    found = lean.solve(
        lambda t, u, _: field(t, u, _).astype(DTYPE), t0, t1, jnp.asarray(u0, DTYPE), ts=t1[None],
        tableau=tableaus.TSIT5, max_steps=300,
    )  # fmt: skip
    assert int(found.result) == result
    assert np.isnan(found.y1) and np.isnan(found.ys[-1])
    assert 0 <= float(found.t) < 1


@any_precision
def test_trial_step_out_of_the_domain_is_taken_again():
    # The first step leads below 0, where the square root is not a number.
    field = lambda t, u, rate: -rate * jnp.sqrt(u)
    t0, t1 = jnp.zeros((), DTYPE), jnp.asarray(1.0, DTYPE)

    def end(rate):
        return lean.solve(field, t0, t1, jnp.ones((), DTYPE), rate, tableau=tableaus.TSIT5,
                          dt0=1.0, rtol=1e-6, atol=1e-6)  # fmt: skip

    rate = jnp.asarray(1.9, DTYPE)
    found, gradient = end(rate), jax.grad(lambda r: end(r).y1)(rate)
    assert int(found.num_steps) > int(found.num_accepted)
    np.testing.assert_allclose(found.y1, (1 - 0.95) ** 2, rtol=2e-3)
    np.testing.assert_allclose(gradient, -(1 - 0.95), rtol=2e-2)


def test_complex_and_mixed_trees_keep_their_dtypes():
    u0 = {"a": jnp.ones(2, jnp.complex64), "b": jnp.ones((), jnp.float32)}
    field = lambda t, u, _: {"a": 1j * u["a"], "b": -u["b"]}
    t0, t1 = jnp.zeros((), jnp.float32), jnp.ones((), jnp.float32)
    found = lean.solve(field, t0, t1, u0, tableau=tableaus.TSIT5, rtol=1e-5, atol=1e-5)
    assert jax.tree.map(lambda u: u.dtype.name, found.y1) == {"a": "complex64", "b": "float32"}
    np.testing.assert_allclose(found.y1["a"], np.exp(1j) * np.ones(2), rtol=1e-4)
    np.testing.assert_allclose(found.y1["b"], np.exp(-1), rtol=1e-4)


@any_precision
@pytest.mark.parametrize(
    ("shapes", "samples"), [([(0,)], 0), ([(0, 2)], 1), ([(0, 2), (0,)], 1), ([(0, 2), (3,)], 1)]
)
def test_empty_batch_is_solved_as_any_other(shapes, samples):
    t0, t1, u0 = jnp.zeros((), DTYPE), jnp.ones((), DTYPE), [jnp.ones(s, DTYPE) for s in shapes]
    found = lean.solve(lambda t, u, _: [-v for v in u], t0, t1, u0,
                       tableau=tableaus.TSIT5, ts=t1[None], samples=samples)  # fmt: skip
    assert [y.shape for y in found.y1] == shapes and int(found.result) == lean.SUCCESSFUL
    assert int(found.num_steps) < 20
    np.testing.assert_allclose(sum(jnp.sum(y) for y in found.y1), 3 * (shapes[-1] == (3,)) / np.e,
                               rtol=1e-5)  # fmt: skip


@any_precision
def test_vmap_over_nothing_and_its_gradient():
    def loss(p, u0):
        return jnp.sum(jax.vmap(lambda u0: solved(p, u0, t1=1.0, capacity=8).y1)(u0))

    found = jax.jit(jax.grad(loss, (0, 1)))(RATES, jnp.zeros((0, 2), DTYPE))
    assert found[1].shape == (0, 2)
    np.testing.assert_array_equal(found[0], 0)


@any_precision
def test_options_that_cannot_be():
    with pytest.raises(ValueError, match="expects `dt0` for fixed steps, got None"):
        solved(control=lean.Fixed())
    with pytest.raises(ValueError, match="error estimate for adaptive steps, got RK4"):
        solved(tableau=tableaus.RK4)


def test_leaf_without_a_tolerance_does_not_change_the_steps():
    def rough(t, y, p):
        u, _ = y
        return lotka_volterra(t, u, p), 1e6 * jnp.sin(1e4 * t)

    t0, t1 = jnp.zeros((), DTYPE), jnp.asarray(5.0, DTYPE)
    start, options = (START, jnp.zeros((), DTYPE)), {"tableau": tableaus.TSIT5, "rtol": 1e-4}
    found = lean.solve(rough, t0, t1, start, RATES, atol=(1e-4, None), **options)
    alone = lean.solve(lotka_volterra, t0, t1, START, RATES, atol=1e-4, **options)
    assert found.num_steps == alone.num_steps and found.num_evaluations == alone.num_evaluations
    np.testing.assert_allclose(found.y1[0], alone.y1, rtol=1e-12 if X64 else 1e-5)
