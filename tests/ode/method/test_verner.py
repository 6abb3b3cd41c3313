"""Verner's solvers: orders at the ends of steps and inside, and where diffrax's solvers go."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest

import sciml_lux as lux
from sciml_lux import ode
from tests.conftest import X64, needs_x64
from tests.ode.models import Logistic, logistic

any_precision = pytest.mark.any_precision

ORDERS = {ode.Vern7: 7, ode.Vern9: 9}
EACH = pytest.mark.parametrize("solver", ORDERS)
GROWTH = diffrax.ODETerm(lambda t, y, args: y * jnp.cos(t))  # y = exp(sin t)
END = 3.0


def solve(solver, steps, saveat):
    """The solution of `GROWTH` from 0 to `END` in equal steps."""
    return diffrax.diffeqsolve(
        GROWTH,
        solver(),
        jnp.asarray(0.0),
        jnp.asarray(END),
        END / jnp.asarray(steps, jnp.result_type(float)),
        jnp.ones(()),
        saveat=saveat,
        stepsize_controller=diffrax.ConstantStepSize(),
        max_steps=32,
    ).ys


@needs_x64
@EACH
def test_solution_has_its_order_at_the_end_and_inside_steps(solver):
    ts = jnp.linspace(0, END, 38)
    found = jax.jit(lambda steps: solve(solver, steps, diffrax.SaveAt(ts=ts)))
    errors = [np.abs(found(steps) - np.exp(np.sin(ts))) for steps in (8, 16)]
    for of in (lambda error: error[-1], np.max):
        order = np.log2(of(errors[0]) / of(errors[1]))
        assert ORDERS[solver] - 0.5 < order < ORDERS[solver] + 1
    assert errors[1].max() < 2 * errors[1][-1]


@any_precision
def test_extra_stages_are_compiled_away_where_the_end_alone_is_saved():
    def calls(saveat):
        program = jax.jit(lambda steps: solve(ode.Vern7, steps, saveat)).lower(4).compile()
        return program.as_text().count(" cosine(")

    ts = diffrax.SaveAt(ts=jnp.linspace(0, END, 3))
    assert calls(diffrax.SaveAt(t1=True)) == calls(ts) - 1  # The loop over them.


def test_neural_ode_solves_with_it(dtype):
    tight = {"rtol": 1e-10, "atol": 1e-10} if X64 else {}
    times = (0.0, 0.3, 2.0)
    node = ode.NeuralODE(Logistic(), (0.0, 2.0), saveat=times, solver=ode.Vern9(), **tight)
    assert "Vern9()" in repr(node)
    ps, st = lux.setup(jax.random.key(0), node, dtype=dtype)
    u0 = jnp.asarray([0.2, 0.9], dtype)

    def total(us, r):
        out = us(r)
        return jnp.sum(out), out

    def exact(r):
        return logistic(u0[None], r, jnp.asarray(times, dtype)[:, None])

    solved = jax.jit(
        jax.grad(lambda r: total(lambda r: node(u0, lux.Record(r=r), st)[0], r), has_aux=True)
    )
    found, want = solved(ps.r), jax.grad(lambda r: total(exact, r), has_aux=True)(ps.r)
    bar = 2e-9 if X64 else 2e-5
    for ours, closed in zip(found, want, strict=True):
        np.testing.assert_allclose(ours, closed, rtol=10 * bar)
        assert ours.dtype == dtype


@needs_x64
def test_dense_output_has_the_slopes_of_the_solution():
    dense = diffrax.diffeqsolve(
        GROWTH, ode.Vern7(), 0.0, END, END / 16, jnp.ones(()), saveat=diffrax.SaveAt(dense=True)
    )
    t = jnp.asarray(1.3)
    np.testing.assert_allclose(dense.evaluate(t), jnp.exp(jnp.sin(t)), rtol=1e-9)
    np.testing.assert_allclose(dense.derivative(t), jnp.cos(t) * jnp.exp(jnp.sin(t)), rtol=1e-8)
    np.testing.assert_allclose(
        dense.evaluate(jnp.asarray(1.0), t),
        jnp.exp(jnp.sin(t)) - jnp.exp(jnp.sin(1.0)),
        rtol=1e-8,
    )


@needs_x64
def test_event_is_found_inside_a_step():
    event = diffrax.Event(lambda t, y, args, **rest: y - 2, optimistix.Newton(1e-12, 1e-12))
    found = diffrax.diffeqsolve(GROWTH, ode.Vern9(), 0.0, END, 0.25, jnp.ones(()), event=event)
    np.testing.assert_allclose(found.ts[-1], np.arcsin(np.log(2)), rtol=1e-10)


@any_precision
@pytest.mark.filterwarnings("ignore:.*not marked as converging")
def test_noise_is_taken_as_diffrax_takes_it():
    path = diffrax.VirtualBrownianTree(0.0, 1.0, 2**-8, (), jax.random.key(0))
    noise = diffrax.ControlTerm(lambda t, y, args: y / 2, path)
    terms = diffrax.MultiTerm(diffrax.ODETerm(lambda t, y, args: -y), noise)
    found = diffrax.diffeqsolve(terms, ode.Vern7(), 0.0, 1.0, 2**-4, jnp.ones(()))
    want = jnp.exp(path.evaluate(jnp.asarray(0.0), jnp.asarray(1.0)) / 2 - 1)  # Stratonovich's.
    np.testing.assert_allclose(found.ys[-1], want, rtol=1e-5)


def test_clock_of_another_dtype_than_the_state_leaves_the_state_alone():
    state = jnp.zeros(3, jnp.float32 if X64 else jnp.float16)
    stages = jnp.zeros((16, 3), state.dtype)
    step = ode.Vern7.interpolation_cls(
        t0=jnp.zeros(()), t1=jnp.ones(()), y0=state, y1=state, k=stages
    )
    inside = jax.eval_shape(step.evaluate, jnp.asarray(0.5))
    assert inside.dtype == state.dtype and inside.shape == (3,)
