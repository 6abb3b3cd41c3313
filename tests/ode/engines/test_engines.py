"""Which engine solves, that both agree, and what only the lean one can do."""

import gc
import pickle
import weakref

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import X64, needs_x64, slow
from tests.ode.models import Decay, Logistic, logistic

any_precision = pytest.mark.any_precision

TIGHT = {"rtol": 1e-9, "atol": 1e-9} if X64 else {"rtol": 1e-5, "atol": 1e-5}
ENGINES = ["lean", "diffrax"]
MODEL = nn.Chain(nn.Dense(2, 6, nn.tanh), nn.Dense(6, 2))
SOLVERS = [diffrax.Bosh3(), diffrax.Tsit5(), ode.Vern7(), ode.Vern9()]
MORE_SOLVERS = [diffrax.Heun(), diffrax.Midpoint(), diffrax.Ralston(), diffrax.Dopri5()]


def made(node):
    dtype = jnp.float64 if X64 else jnp.float32
    return jnp.asarray([0.4, -0.3], dtype), *lux.setup(jax.random.key(0), node, dtype=dtype)


@any_precision
@pytest.mark.parametrize(
    "options, engine",
    [
        ({}, "lean-components"),
        ({"solver": diffrax.Euler(), "dt0": 0.1}, "lean-components"),
        ({"stepsize_controller": diffrax.ConstantStepSize(), "dt0": 0.1}, "lean-components"),
        ({"solver": ode.Vern7()}, "lean-components"),
        ({"solver": diffrax.Kvaerno5()}, "diffrax"),
        ({"solver": diffrax.Dopri8()}, "diffrax"),
        ({"solver": diffrax.Tsit5(scan_kind="bounded")}, "diffrax"),
        ({"adjoint": diffrax.DirectAdjoint()}, "diffrax"),
        ({"stepsize_controller": diffrax.PIDController(rtol=1e-3, atol=1e-3)}, "lean-components"),
        ({"stepsize_controller": diffrax.PIDController(1e-3, 1e-3, dtmax=0.1)}, "diffrax"),
    ],
    ids=str,
)
def test_engine_that_solves_is_told(options, engine):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), **options)
    solution, _ = jax.eval_shape(node.solve, *made(node))
    assert solution.stats.engine == lux.Static(engine)


@any_precision
@pytest.mark.parametrize(
    "solver",
    [*SOLVERS, *[pytest.param(solver, marks=slow) for solver in MORE_SOLVERS]],
    ids=lambda solver: type(solver).__name__,
)
def test_engines_agree_to_the_tolerance(solver):
    options = {"solver": solver, "saveat": (0.0, 0.4, 1.0), "rtol": 1e-5, "atol": 1e-5}
    lean = ode.NeuralODE(MODEL, (0.0, 1.0), **options)
    adjoint = diffrax.RecursiveCheckpointAdjoint()
    other = ode.NeuralODE(MODEL, (0.0, 1.0), adjoint=adjoint, **options)
    u0, ps, st = made(lean)
    (ours, _), (theirs, _) = lean.solve(u0, ps, st), other.solve(u0, ps, st)
    assert (ours.stats.engine.value, theirs.stats.engine.value) == ("lean", "diffrax")
    np.testing.assert_allclose(ours.ys, theirs.ys, atol=2e-4)


@needs_x64
def test_controllers_of_both_engines_take_the_same_steps():
    controller = diffrax.PIDController(1e-6, 1e-6, pcoeff=0.3, icoeff=0.3, dcoeff=0.1, safety=0.8)
    found = []
    for adjoint in (None, diffrax.RecursiveCheckpointAdjoint()):
        node = ode.NeuralODE(MODEL, (0.0, 3.0), dt0=0.5, adjoint=adjoint,
                             stepsize_controller=controller)  # fmt: skip
        solution, _ = node.solve(*made(node))
        found.append((solution.stats.engine.value, int(solution.stats.num_steps), solution.ys))
    assert [engine for engine, *_ in found] == ENGINES and found[0][1] == found[1][1] > 5
    np.testing.assert_allclose(found[0][2], found[1][2], rtol=1e-9)


@any_precision
def test_tolerances_of_each_component():
    def steps(atol):
        controller = diffrax.PIDController(rtol=1e-4, atol=jnp.asarray(atol))
        node = ode.NeuralODE(Decay(), (0.0, 3.0), stepsize_controller=controller)
        solution, _ = node.solve(*made(node))
        assert solution.stats.engine == lux.Static("lean-components")
        return int(solution.stats.num_steps)

    assert min(steps([1e-6, 1e-1]), steps([1e-1, 1e-6])) > steps([1e-1, 1e-1])


DENSE = [
    ode.NeuralODE(Logistic(), (0.0, 2.0), dense=True, max_steps=256, adjoint=adjoint, **TIGHT)
    for adjoint in (None, diffrax.RecursiveCheckpointAdjoint())
]


@pytest.mark.parametrize("node", DENSE, ids=ENGINES)
def test_dense_solution_is_right_at_every_time_and_nowhere_else(node):
    u0, ps, st = made(node)
    u0 = jnp.abs(u0)
    solution, _ = node.solve(u0, ps, st)
    ts = jnp.linspace(0, 2, 41, dtype=u0.dtype)
    want = jax.vmap(lambda t: logistic(u0, ps.r, t))(ts)
    np.testing.assert_allclose(jax.vmap(solution)(ts), want, rtol=1e-7 if X64 else 1e-4)
    assert solution(0.5).dtype == u0.dtype
    assert np.isnan(solution(2.1)).all() and np.isnan(solution(-0.1)).all()


@any_precision
def test_dense_solution_has_derivatives():
    node = DENSE[0]
    u0, ps, st = made(node)
    u0 = jnp.abs(u0)

    def at(ps, u0, t):
        return node.solve(u0, ps, st)[0](t)[0]

    t = jnp.asarray(0.7, u0.dtype)
    found = jax.jit(lambda *args: (jax.grad(at, (0, 1, 2))(*args), jax.hessian(at)(*args)))
    (by_ps, by_u0, by_t), second = found(ps, u0, t)
    closed = lambda r, u0, t: logistic(u0, r, t)[0]
    want = jax.grad(closed, (0, 1, 2))(ps.r, u0, t)
    rtol = 1e-6 if X64 else 1e-3
    np.testing.assert_allclose(by_ps.r, want[0], rtol=rtol)
    np.testing.assert_allclose(by_u0, want[1], rtol=rtol, atol=rtol)
    np.testing.assert_allclose(by_t, want[2], rtol=10 * rtol)
    np.testing.assert_allclose(second.r.r, jax.hessian(closed)(ps.r, u0, t), rtol=10 * rtol)


@any_precision
def test_solution_that_was_not_asked_to_be_dense_cannot_be_called():
    node = ode.NeuralODE(Decay(), (0.0, 1.0))
    solution, _ = jax.eval_shape(node.solve, *made(node))
    with pytest.raises(ValueError, match="can be called where the solve had dense=True"):
        solution(0.5)


@any_precision
@pytest.mark.parametrize("adjoint", [None, diffrax.RecursiveCheckpointAdjoint()], ids=ENGINES)
def test_relative_tolerance_holds_large_states(adjoint):
    def steps(**tolerances):
        node = ode.NeuralODE(Decay(), (0.0, 3.0), adjoint=adjoint, **tolerances)
        u0, ps, st = made(node)
        return int(node.solve(1e6 * u0, ps, st)[0].stats.num_steps)

    assert steps(rtol=1e-5, atol=1e-2) > steps(rtol=1e-2, atol=1e-5)


@needs_x64
def test_gradients_agree_to_ten_digits_on_equal_steps():
    def gradient(**options):
        node = ode.NeuralODE(MODEL, (0.0, 1.0), dt0=0.05, **options,
                             stepsize_controller=diffrax.ConstantStepSize())  # fmt: skip
        u0, ps, st = made(node)
        return jax.jit(jax.grad(lambda ps: jnp.sum(node(u0, ps, st)[0] ** 2)))(ps)

    ours, theirs = gradient(), gradient(adjoint=diffrax.RecursiveCheckpointAdjoint())
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    jax.tree.map(close, ours, theirs)


@needs_x64
def test_hessian_of_a_default_node_in_every_nesting():
    node = ode.NeuralODE(Logistic(), (0.0, 1.5), **TIGHT)
    u0, ps, st = made(node)
    end = lambda r: jnp.sum(node(u0**2, lux.Record(r=r), st)[0])
    exact = lambda r: jnp.sum(1 / (1 + (1 / u0**2 - 1) * jnp.exp(-1.5 * r)))
    want = jax.hessian(exact)(ps.r)
    for nesting in (
        jax.hessian,
        lambda f: jax.jacrev(jax.jacfwd(f)),
        lambda f: jax.grad(jax.grad(f)),
    ):
        np.testing.assert_allclose(jax.jit(nesting(end))(ps.r), want, rtol=2e-6)


@needs_x64
def test_states_inside_keep_the_tolerance():
    times = tuple(np.linspace(0.0, 6.0, 37).tolist())
    node = ode.NeuralODE(Logistic(), (0.0, 6.0), saveat=times, rtol=1e-6, atol=1e-6)
    u0, ps, st = made(node)
    u0 = u0**2
    us, _ = node(u0, ps, st)
    growth = np.exp(-np.asarray(times)[:, None] * float(ps.r))
    want = 1 / (1 + (1 / np.asarray(u0) - 1) * growth)
    assert np.max(np.abs(us - want)) < 2e-6


@any_precision
def test_eager_calls_compile_once():
    node = ode.NeuralODE(MODEL, (0.0, 1.0))
    u0, ps, st = made(node)
    with _counted() as count:
        for scale in (1.0, 2.0, 3.0):
            node(scale * u0, ps, st)
    assert count[0] == 1


class _counted:
    """How often a vector field was traced."""

    def __enter__(self):
        self.count, self.old = [0], ode.NeuralODE.vector_field

        def counting(node, ps, st):
            self.count[0] += 1
            return self.old(node, ps, st)

        ode.NeuralODE.vector_field = counting
        return self.count

    def __exit__(self, *_):
        ode.NeuralODE.vector_field = self.old


@any_precision
def test_compiled_solve_is_freed_and_pickled_with_its_layer():
    node = ode.NeuralODE(MODEL, (0.0, 1.0))
    u0, ps, st = made(node)
    want, _ = node(u0, ps, st)
    copy = pickle.loads(pickle.dumps(node))
    np.testing.assert_array_equal(copy(u0, ps, st)[0], want)
    kept = weakref.ref(node)
    del node
    gc.collect()
    assert kept() is None


@any_precision
def test_failed_eager_solve_raises_our_sentence_alone():
    node = ode.NeuralODE(MODEL, (0.0, 1.0), max_steps=2)
    u0, ps, st = made(node)
    with pytest.raises(RuntimeError, match="^`NeuralODE` took max_steps=2 steps and did not reach"):
        node(u0, ps, st)


def test_end_of_a_float32_linspace_is_the_end():
    for t1 in np.random.default_rng(0).uniform(0.1, 50, 100):
        times = np.linspace(0.0, t1, 7, dtype=np.float32)
        node = ode.NeuralODE(Decay(), (0.0, float(t1)), saveat=times)
        assert node.saveat[-1] <= node.tspan[1]
    with pytest.raises(ValueError, match="expects `saveat` within `tspan`"):
        ode.NeuralODE(Decay(), (0.0, 1.0), saveat=(0.0, 1.0 + 1e-9))
