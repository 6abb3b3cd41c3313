"""Problems as data: times of all and of each sample, masks and controls."""

import gc
import weakref

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import X64, needs_x64
from tests.ode.models import Decay

any_precision = pytest.mark.any_precision

RATE = 0.7  # Of `Decay`.
TIGHT = {"rtol": 1e-9, "atol": 1e-9} if X64 else {"rtol": 1e-5, "atol": 1e-5}
CLOSE = 1e-7 if X64 else 1e-4
NODE = ode.NeuralODE(Decay(), (0.0, 1.0), **TIGHT)
ON_DIFFRAX = ode.NeuralODE(
    Decay(), (0.0, 1.0), adjoint=diffrax.RecursiveCheckpointAdjoint(), **TIGHT
)
ENGINES = pytest.mark.parametrize("node", [NODE, ON_DIFFRAX], ids=["lean", "diffrax"])


def trees(node, dtype):
    return lux.setup(jax.random.key(0), node, dtype=dtype)


def solved(node, problem, dtype):
    return node(problem, *trees(node, dtype))[0]


@ENGINES
def test_times_of_a_problem_replace_those_of_the_layer(node, dtype):
    u0, ts = jnp.asarray([1.0, 2.0], dtype), jnp.asarray([0.0, 0.5, 2.0], dtype)
    solution, _ = node.solve(ode.Problem(u0, ts=ts), *trees(node, dtype))
    want = np.exp(-RATE * np.asarray(ts))[:, None] * np.asarray(u0)
    np.testing.assert_allclose(solution.ys, want, atol=CLOSE)
    assert solution.ys.dtype == solution.ts.dtype == dtype
    np.testing.assert_array_equal(solution.ts, ts)


def test_ends_of_a_problem_replace_those_of_the_layer(dtype):
    u0 = jnp.ones(1, dtype)
    found = solved(NODE, ode.Problem(u0, tspan=(0.5, 2.0)), dtype)
    np.testing.assert_allclose(found, [np.exp(-RATE * 1.5)], atol=CLOSE)
    back = solved(NODE, ode.Problem(u0, tspan=(1.0, 0.0)), dtype)
    np.testing.assert_allclose(back, [np.exp(RATE)], atol=10 * CLOSE)


@any_precision
@ENGINES
def test_each_sample_has_its_own_times(node, dtype):
    u0 = jnp.asarray([[1.0], [2.0]], dtype)
    ts = jnp.asarray([[0.0, 0.5, 1.0], [0.0, 0.2, 3.0]], dtype)
    found = solved(node, ode.Problem(u0, ts=ts), dtype)
    want = np.asarray(u0)[:, None] * np.exp(-RATE * np.asarray(ts))[..., None]
    np.testing.assert_allclose(found, want, atol=CLOSE)


@any_precision
def test_each_sample_has_its_own_ends(dtype):
    u0, ends = jnp.ones((2, 1), dtype), (jnp.zeros(2, dtype), jnp.asarray([1.0, 2.0], dtype))
    found = solved(NODE, ode.Problem(u0, tspan=ends), dtype)
    np.testing.assert_allclose(found, np.exp([[-RATE], [-2 * RATE]]), atol=CLOSE)


@any_precision
def test_masked_times_have_the_state_before_them_and_no_gradient(dtype):
    u0 = jnp.asarray([[1.0], [2.0]], dtype)
    ts = jnp.asarray([[0.0, 0.5, np.nan], [0.0, 9.0, 2.0]], dtype)
    mask = jnp.asarray([[True, True, False], [True, False, True]])
    ps, st = trees(NODE, dtype)

    def total(u0, ts, ps):
        us = NODE(ode.Problem(u0, ts=ts, mask=mask), ps, st)[0]
        return jnp.sum(us), us

    (by_u0, by_ts, by_ps), us = jax.jit(jax.grad(total, (0, 1, 2), has_aux=True))(u0, ts, ps)
    seen = np.asarray([[0.0, 0.5, 0.5], [0.0, 0.0, 2.0]])
    each = np.exp(-RATE * seen)
    np.testing.assert_allclose(us[..., 0], each * np.asarray(u0), atol=CLOSE)
    np.testing.assert_allclose(by_u0[:, 0], each.sum(1), rtol=100 * CLOSE)
    want = -(seen * each * np.asarray(u0)).sum()
    np.testing.assert_allclose(by_ps.rate, want, rtol=100 * CLOSE)
    slopes = -RATE * each * np.asarray(u0)
    np.testing.assert_allclose(
        by_ts, [[slopes[0, 0], 2 * slopes[0, 1], 0], [2 * slopes[1, 0], 0, slopes[1, 2]]],
        rtol=100 * CLOSE, atol=CLOSE,
    )  # fmt: skip


@any_precision
def test_a_longer_horizon_compiles_nothing(dtype):
    u0, ts = jnp.ones(1, dtype), jnp.linspace(0, 1, 5, dtype=dtype)
    node = ode.NeuralODE(Decay(), (0.0, 1.0))
    ps, st = trees(node, dtype)
    problems = [ode.Problem(u0, ts=ts, mask=ts <= horizon) for horizon in (0.25, 0.5, 1.0)]
    problems += [ode.Problem(u0, ts=2 * ts, mask=ts <= 1)]
    node(problems[0], ps, st)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
    )
    found = [node(problem, ps, st)[0] for problem in problems]
    assert not compiled
    np.testing.assert_allclose(found[1][-1], np.exp(-RATE * 0.5), rtol=1e-4)
    np.testing.assert_allclose(found[3][-1], np.exp(-RATE * 2), rtol=1e-4)


def test_ends_that_differ_by_rounding_are_met():
    for n in (7, 11, 23):
        ts = jnp.linspace(0, 0.3, n, dtype=jnp.float32)
        problem = ode.Problem(jnp.ones(1, jnp.float32), ts=ts, tspan=(0.0, 0.3))
        assert np.isfinite(solved(NODE, problem, jnp.float32)).all()


@any_precision
def test_batch_axis_puts_the_batch_first(dtype):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), saveat=(0.0, 0.5, 1.0), batch_axis=0, **TIGHT)
    u0 = jnp.asarray([[1.0], [2.0]], dtype)
    ts = jnp.asarray([0.0, 0.5, 1.0], dtype)
    want = np.asarray(u0)[:, None] * np.exp(-RATE * np.asarray(ts))[:, None]
    np.testing.assert_allclose(solved(node, u0, dtype), want, atol=CLOSE)
    each = ode.Problem(u0, ts=jnp.stack([ts, ts]))
    np.testing.assert_allclose(solved(node, each, dtype), want, atol=CLOSE)
    with pytest.raises(ValueError, match="expects `batch_axis` to be None or 0, got 1"):
        ode.NeuralODE(Decay(), (0.0, 1.0), batch_axis=1)


# u' = -u + c(t) with c(t) = t: u = (u0 + 1) exp(-t) + t - 1.
CONTROLLED = ode.NeuralODE(nn.Dense(2, 1), (0.0, 1.0), **TIGHT)


def controlled_trees(dtype):
    _, st = trees(CONTROLLED, dtype)
    return lux.Record(weight=jnp.asarray([[-1.0, 1.0]], dtype), bias=jnp.zeros(1, dtype)), st


@any_precision
def test_controls_are_appended_to_the_state(dtype):
    times = jnp.linspace(0, 1, 3, dtype=dtype)
    u0 = jnp.asarray([[0.0], [1.0]], dtype)
    want = (np.asarray(u0) + 1) * np.exp(-1)
    signals = [(times, times), (jnp.stack([times, times]), jnp.stack([times, times])[..., None])]
    for signal in signals:
        problem = ode.Problem(u0, inputs={"c": ode.Interpolated(*signal)})
        found, _ = CONTROLLED(problem, *controlled_trees(dtype))
        np.testing.assert_allclose(found, want, atol=CLOSE)
    each = jnp.asarray([[0.0, 1.0], [0.0, 1.0]], dtype)
    problem = ode.Problem(u0, ts=each, inputs={"c": ode.Interpolated(*signals[1])})
    found, _ = CONTROLLED(problem, *controlled_trees(dtype))
    np.testing.assert_allclose(found[:, 1], want, atol=CLOSE)


@any_precision
def test_gradient_by_the_values_of_a_control(dtype):
    # Steps that end at the kink of a hat: adaptive ones do not see it in a straight signal.
    fixed = {"dt0": 0.05, "stepsize_controller": diffrax.ConstantStepSize()}
    node = ode.NeuralODE(CONTROLLED.model, (0.0, 1.0), **fixed)
    times, trees_ = jnp.linspace(0, 1, 3, dtype=dtype), controlled_trees(dtype)

    def end(values):
        problem = ode.Problem(jnp.zeros(1, dtype), inputs={"c": ode.Interpolated(times, values)})
        return node(problem, *trees_)[0][0]

    found = jax.jit(jax.grad(end))(times)
    # Of each hat function, ∫ hat(s) exp(s - 1) ds.
    s = np.linspace(0, 1, 20001)
    hats = [np.interp(s, times, row) * np.exp(s - 1) for row in np.eye(3)]
    np.testing.assert_allclose(found, np.trapezoid(hats, s), atol=100 * CLOSE)


@any_precision
def test_time_goes_beside_leaves_of_trees_and_scalars(dtype):
    class Clock(lux.Layer):
        def __call__(self, x, ps, st):
            return jax.tree.map(lambda leaf: leaf[..., -1], x), st

    node = ode.NeuralODE(Clock(), (0.0, 2.0), time_input="concat", **TIGHT)
    found = solved(node, {"a": jnp.zeros((), dtype), "b": jnp.ones((), dtype)}, dtype)
    np.testing.assert_allclose([found["a"], found["b"]], [2.0, 3.0], atol=CLOSE)


@pytest.mark.parametrize(
    "options, error, text",
    [
        ({"ts": [0.0, 2.0, 1.0]}, ValueError, "`ts` to be sorted from t0=0.0 to t1=1.0, got 2.0"),
        ({"ts": [0.0, 0.75, 0.5, 1.0]}, ValueError, "sorted from t0=0.0 to t1=1.0, got 0.75"),
        ({"ts": [0.0, 1.0], "tspan": (0.0, 0.5)}, ValueError, "`ts` within `tspan` = .0.0, 0.5"),
        ({"ts": [[0.0, 1.0]]}, ValueError, "as many samples in all of a problem, got 1 in `ts`"),
        ({"ts": [[0.0, 1.0], [1.0, 0.5]]}, ValueError, "`NeuralODE of sample 1` expects `ts` to"),
        ({"ts": [0.0, 1.0], "mask": [1, 0]}, TypeError, "expects `mask` of booleans, got int"),
        ({"ts": [0.0, 1.0], "mask": [True]}, ValueError, "`mask` of the shape of `ts`, got .1,."),
        ({"mask": [True]}, ValueError, "`mask` of the shape of `ts`, got .1,. and no times"),
        ({"ts": 1.0}, ValueError, r"`ts` of shape \(n,\) or \(batch, n\), got \(\)"),
        ({"ts": [0.0, np.inf]}, ValueError, "expects finite times, got"),
        ({"ts": [True]}, TypeError, "expects `ts` of real numbers, got bool"),
        ({"tspan": (0.0, 1.0, 2.0)}, ValueError, "expects `tspan` to be the pair"),
        ({"inputs": {"c": 1.0}}, TypeError, "input `c` to be an `Interpolated`, got float"),
    ],
    ids=str,
)
def test_problems_that_make_no_sense_are_refused(options, error, text, dtype):
    with pytest.raises(error, match=text):
        solved(NODE, ode.Problem(jnp.ones((2, 1), dtype), **options), dtype)


@any_precision
def test_times_out_of_order_under_jit_are_a_result(dtype):
    quiet = ode.NeuralODE(Decay(), (0.0, 1.0), throw=False)
    ps, st = trees(quiet, dtype)

    @jax.jit
    def run(ts):
        return quiet.solve(ode.Problem(jnp.ones(1, dtype), ts=ts), ps, st)[0]

    for times in ([0.0, 2.0, 1.0], [0.0, 0.6, 0.4, 1.0], [0.0, np.nan, 1.0]):
        found = run(jnp.asarray(times, dtype))
        assert np.isnan(found.ys).all()
        assert ode.RESULTS[found.result] == "The times are not finite and in order from t0 to t1."
    assert np.isfinite(run(jnp.asarray([0.0, 1.0, 2.0], dtype)).ys).all()


@any_precision
def test_layer_that_takes_no_inputs_says_so(dtype):
    class Plain(ode.ODELayer):
        tspan: tuple[float, float] = (0.0, 1.0)

        def vector_field(self, ps, st):
            return lambda t, u: -u

    signal = ode.Interpolated(jnp.arange(2.0, dtype=dtype), jnp.zeros(2, dtype))
    with pytest.raises(TypeError, match=r"`Plain` takes no `inputs`, got c. Define `vector_field"):
        Plain()(ode.Problem(jnp.ones(1, dtype), inputs={"c": signal}), (), ())


@any_precision
def test_problem_is_a_tree(dtype):
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    doubled = jax.tree.map(lambda leaf: 2 * leaf, problem)
    assert isinstance(doubled, ode.Problem) and doubled.ts is None
    assert [leaf.item() for leaf in jax.tree.leaves(doubled)] == [2.0, 0.0, 2.0]
    assert repr(ode.Problem(1.0, tspan=None)) == "Problem(u0=1.0)"


@any_precision
def test_solve_of_a_function_agrees_with_the_closed_form(dtype):
    def decay(t, u, rate):
        return -rate * u

    u0, ts = jnp.asarray([1.0, 2.0], dtype), jnp.asarray([0.0, 0.5, 1.0], dtype)
    method, problem = ode.Method(**TIGHT), ode.Problem(u0, ts=ts)
    found = ode.solve(decay, problem, jnp.asarray(2.0, dtype), method=method)
    np.testing.assert_allclose(found.ys, np.exp(-2 * ts)[:, None] * np.asarray(u0), atol=CLOSE)
    assert found.stats.engine.value == "lean" and found.ys.dtype == dtype
    end = lambda rate: ode.solve(decay, problem, rate, method=method).ys[-1, 0]
    found = jax.jit(lambda r: (jax.grad(end)(r), jax.hessian(end)(r)))(jnp.asarray(2.0, dtype))
    np.testing.assert_allclose(found, [-np.exp(-2), np.exp(-2)], rtol=1000 * CLOSE)


@any_precision
def test_solve_of_a_function_compiles_once_and_keeps_nothing_alive(dtype):
    table = jnp.arange(1024.0, dtype=dtype)
    kept = weakref.ref(table)

    class Physics:
        def __init__(self, table):
            self.table = table

        def field(self, t, u, args):
            return -u + self.table[3]

    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    closure, physics = (lambda t, u, args, table=table: -u + table[3]), Physics(table)
    ode.solve(closure, problem), ode.solve(physics.field, problem)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
    )
    for _ in range(3):
        ode.solve(closure, problem), ode.solve(physics.field, problem)
    assert not compiled
    del closure, physics, table
    gc.collect()
    assert kept() is None


@any_precision
def test_what_solve_refuses(dtype):
    problem = ode.Problem(jnp.ones(1, dtype), tspan=(0.0, 1.0))
    with pytest.raises(TypeError, match="`ode.solve` expects `field` to be a function, got 3"):
        ode.solve(3, problem)
    with pytest.raises(TypeError, match="`ode.solve` expects a `Problem`, got ArrayImpl"):
        ode.solve(lambda t, u, args: u, jnp.ones(1, dtype))
    with pytest.raises(TypeError, match="`ode.solve` expects `method` to be a `Method`, got str"):
        ode.solve(lambda t, u, args: u, problem, method="Tsit5")
    with pytest.raises(ValueError, match="`ode.solve` expects a problem with `ts` or `tspan`"):
        ode.solve(lambda t, u, args: u, ode.Problem(jnp.ones(1, dtype)))
    with pytest.raises(ValueError, match="`ode.solve`: the vector field must return the shape"):
        ode.solve(lambda t, u, args: u[None], problem)
    with pytest.raises(RuntimeError, match="`ode.solve`: the vector field is not finite at t0=0.0"):
        ode.solve(lambda t, u, args: u / 0, problem)
    with pytest.raises(ValueError, match="`Method` expects `rtol` to be a number above 0, got 0"):
        ode.Method(rtol=0)


@any_precision
def test_memory_of_numpy_may_change_after_the_call(dtype):
    u0 = np.ones(1, dtype)
    found = ode.solve(lambda t, u, a: 0 * u, ode.Problem(u0, tspan=(0.0, 1.0)))
    u0[:] = 7
    np.testing.assert_array_equal(found.ys, [[1.0]])


@any_precision
def test_memory_of_numpy_may_change_after_the_problem_is_made(dtype):
    u0 = np.ones(1, dtype)
    problem = ode.Problem({"x": u0}, tspan=(0.0, 1.0))
    u0[:] = 7
    assert problem.u0["x"].tolist() == [1.0]


@needs_x64
def test_a_float32_problem_stays_float32():
    ts = np.linspace(0.0, 1.0, 3)
    solution, _ = NODE.solve(
        ode.Problem(jnp.ones(1, jnp.float32), ts=ts), *trees(NODE, jnp.float32)
    )
    assert solution.ys.dtype == solution.ts.dtype == jnp.float32


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        ((jnp.zeros(2), jnp.zeros(2), "cubic"), ValueError, "expects `basis` to be"),
        ((jnp.zeros(2), jnp.zeros(3)), ValueError, r"`values` that begin with it, got \(2,\)"),
        ((jnp.zeros(1), jnp.zeros(1)), ValueError, 'at least 2 times for "linear", got 1'),
        ((jnp.zeros(()), jnp.zeros(())), ValueError, r"of shape \(m,\) or \(batch, m\)"),
        (([1, 0], [1, 2]), ValueError, r"expects increasing `times`, got \[1 0\]. Sort them"),
        (([[0, 1], [2, 2]], [[1, 2], [1, 2]]), ValueError, "expects increasing `times`, got"),
    ],
)
def test_signals_that_make_no_sense_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        ode.Interpolated(*arguments)


@any_precision
def test_signal_is_held_before_and_after_its_times(dtype):
    signal = ode.Interpolated(jnp.asarray([0.0, 2.0], dtype), jnp.asarray([1.0, 3.0], dtype))
    at = [signal(jnp.asarray(t, dtype)).item() for t in (-1.0, 0.0, 0.5, 2.0, 9.0)]
    assert at == [1.0, 1.0, 1.5, 3.0, 3.0]
    assert repr(signal) == "Interpolated(times(2,), values(2,), 'linear')"


def _squared(t, u, rate):
    return rate * u * u  # u = u0 / (1 - rate u0 t), without bound at t = 1 / (rate u0).


@any_precision
def test_sample_that_fails_is_named_and_leaves_the_others_alone(dtype):
    u0 = jnp.asarray([[0.1], [5.0], [0.2]], dtype)
    problem = ode.Problem(u0, ts=jnp.broadcast_to(jnp.asarray([0.0, 1.0], dtype), (3, 2)))
    rate = jnp.ones((), dtype)
    with pytest.raises(RuntimeError, match=r"`ode.solve` \(sample 1\): the solution grows without"):
        ode.solve(_squared, problem, rate)

    @jax.jit
    def run(rate):
        found = ode.solve(_squared, problem, rate)
        first = lambda u0: ode.solve(_squared, problem.with_state(u0), rate).ys[0, -1, 0]
        return found.ys[:, -1, 0], found.result == ode.RESULTS.diverged, jax.grad(first)(u0)

    ends, diverged, slopes = run(rate)
    np.testing.assert_allclose(ends, [0.1 / 0.9, np.nan, 0.25], rtol=1e-4)
    assert diverged.tolist() == [False, True, False]
    np.testing.assert_allclose(slopes[:, 0], [1 / 0.81, np.nan, 0.0], rtol=1e-3)
