"""A solve that goes on from another, and one that begins with a step that is known."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import X64, needs_x64

pytestmark = pytest.mark.any_precision

DTYPE = jnp.float64 if X64 else jnp.float32
U0, RATE = jnp.asarray([2.0, 0.0], DTYPE), jnp.asarray(2.0, DTYPE)
CONTROLLER = diffrax.PIDController(1e-6, 1e-6, pcoeff=0.4, icoeff=0.3, dcoeff=0.1)
# `dense` for the times of the steps: another program rounds otherwise, and steps magnify that.
DENSE = {"dense": True, "max_steps": 256}
METHODS = {
    "default": ode.Method(rtol=1e-5, atol=1e-5, **DENSE),
    "pid": ode.Method(stepsize_controller=CONTROLLER, **DENSE),
    "vern7": ode.Method(solver=ode.Vern7(), rtol=1e-8, atol=1e-8, **DENSE),
}


def van_der_pol(t, u, rate):
    return jnp.stack([u[1], rate * (1 - u[0] ** 2) * u[1] - u[0]])


def solved(u0, t0, t1, rate=RATE, step=None, **options):
    problem = ode.Problem(u0, tspan=(t0, t1), first_step=step)
    return ode.solve(van_der_pol, problem, rate, **options)


def counts(*solutions):
    """Accepted and rejected steps, and evaluations, of all of them."""
    rows = [(s.num_accepted_steps, s.num_rejected_steps, s.num_field_evaluations)
            for s in (solution.stats for solution in solutions)]  # fmt: skip
    return np.sum(rows, axis=0).tolist()


def starts(solution, t0, t1):
    """Where the steps began."""
    record = solution.between.args[1]
    return t0 + (t1 - t0) * record.starts[: record.steps]


@needs_x64
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("span", [(0.0, 9.0), (2.0, -2.5)], ids=["forwards", "backwards"])
def test_two_parts_take_the_steps_of_the_whole(method, span):
    t0, t1 = span
    whole = solved(U0, t0, t1, method=method)
    steps = starts(whole, t0, t1)
    middle = steps[len(steps) // 2]
    first = solved(U0, t0, middle, method=method)
    final = first.final
    second = solved(final.u, final.t, t1, step=final.next_step, method=method)
    accepted, rejected, evaluations = counts(whole)
    found = counts(first, second)
    # A solve begins with a look at the field. The end may come before a step that the whole tries
    # and rejects, or leave a rest: lengths of steps magnify rounding.
    assert 0 <= found[0] - accepted <= 1 and 0 <= rejected - found[1] <= 1 and rejected > 0
    if found[:2] == [accepted, rejected]:
        assert found[2] == evaluations + 1
    np.testing.assert_allclose(second.final.u, whole.final.u, rtol=1e-9)
    after = steps[len(steps) // 2 :]
    np.testing.assert_allclose(starts(second, middle, t1), after, atol=1e-6)


@needs_x64
def test_gradient_of_two_parts_is_that_of_the_whole():
    middle = starts(solved(U0, 0.0, 9.0, method=METHODS["pid"]), 0.0, 9.0)[49]

    def parts(rate):
        final = solved(U0, 0.0, middle, rate, method=METHODS["pid"]).final
        after = (final.u, final.t, 9.0, rate, final.next_step)
        return jnp.sum(solved(*after, method=METHODS["pid"]).final.u)

    whole = lambda rate: jnp.sum(solved(U0, 0.0, 9.0, rate, method=METHODS["pid"]).final.u)
    found, want = jax.jit(lambda rate: (jax.grad(parts)(rate), jax.grad(whole)(rate)))(RATE)
    np.testing.assert_allclose(found, want, rtol=1e-8)


def test_end_inside_a_step_costs_that_step_alone():
    whole = solved(U0, 0.0, 9.0)
    first = solved(U0, 0.0, 3.0)
    step = first.final.next_step
    second = solved(first.final.u, first.final.t, 9.0, step=step)
    assert sum(counts(first, second)[:2]) <= sum(counts(whole)[:2]) + 2
    # Not the short rest that the first ended with.
    assert float(second.stats.first_step) > 0.5 * float(step.length)


def test_step_and_errors_outlast_a_solve_over_no_time():
    step = ode.Step(jnp.asarray(0.25, DTYPE), jnp.asarray(0.5, DTYPE), jnp.asarray(2.0, DTYPE))
    final = solved(U0, 1.0, 1.0, step=step).final
    np.testing.assert_array_equal(final.next_step, step)
    np.testing.assert_array_equal(final.u, U0)


NODE = ode.NeuralODE(nn.Dense(2, 2, nn.tanh), (0.0, 4.0), rtol=1e-4, atol=1e-4)


def test_layer_begins_with_the_step_of_an_earlier_solve():
    ps, st = lux.setup(0, NODE, dtype=DTYPE)
    cold, _ = NODE.solve(U0, ps, st)
    length = cold.stats.first_step
    warm, _ = NODE.solve(ode.Problem(U0, first_step=length), ps, st)
    assert length.dtype == DTYPE and 0 < length < 4 and warm.stats.first_step == length
    assert counts(warm)[2] == counts(cold)[2] - 1
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
    )
    NODE.solve(ode.Problem(U0, first_step=length / 2), ps, st)
    assert len(compiled) <= 1  # The division.


def test_each_sample_goes_on_with_its_own_step():
    starts = jnp.stack([U0, 2 * U0])
    ends = jnp.asarray([1.0, 3.0], DTYPE)
    first = solved(starts, jnp.zeros(2, DTYPE), ends)
    assert first.final.next_step.length.shape == (2,)
    second = solved(first.final.u, first.final.t, ends + 1, step=first.final.next_step)
    for i in range(2):
        step = jax.tree.map(lambda part, i=i: part[i], first.final.next_step)
        alone = solved(first.final.u[i], first.final.t[i], ends[i] + 1, step=step)
        np.testing.assert_allclose(second.final.u[i], alone.final.u, rtol=1e-5)
        assert second.stats.num_steps[i] == alone.stats.num_steps


def test_diffrax_begins_with_it_and_does_not_tell_the_next():
    def steps(step, **options):
        method = ode.Method(solver=diffrax.Dopri8(), rtol=1e-3, atol=1e-3, **options)
        solution = solved(U0, 0.0, 1.0, step=step, method=method)
        assert solution.final.next_step is None and solution.stats.first_step is None
        return int(solution.stats.num_steps)

    assert steps(1e-6) == steps(None, dt0=1e-6) > steps(0.1)


@pytest.mark.parametrize(
    ("step", "error", "text"),
    [
        (0.0, ValueError, "`ode.solve` expects `first_step` to have a finite length above 0 in"),
        (-0.1, ValueError, "a finite length above 0 in float.*got Step.*Leave it out"),
        (np.nan, ValueError, "a finite length above 0"),
        (ode.Step(0.1, 0.0), ValueError, "and errors above 0"),
        (1e-60, ValueError, "above 0 in float32") if not X64 else (np.inf, ValueError, "finite"),
        (np.ones(3, DTYPE), ValueError, r"of the shape \(\), got \(3,\). Only with times of each"),
        (1j, TypeError, "`first_step` of real numbers, got complex"),
    ],
)
def test_step_that_is_none_is_refused(step, error, text):
    with pytest.raises(error, match=text):
        solved(U0, 0.0, 1.0, step=step)


def test_fixed_steps_have_no_other_first_step():
    method = ode.Method(solver=diffrax.Euler(), dt0=0.25)
    assert solved(U0, 0.0, 1.0, method=method).final.next_step is None
    with pytest.raises(ValueError, match="has fixed steps of the length `dt0`, got a `first_step`"):
        solved(U0, 0.0, 1.0, step=0.1, method=method)


def test_step_that_is_no_length_is_the_result_under_jit():
    method = ode.Method(throw=False)
    run = jax.jit(lambda step: solved(U0, 0.0, 1.0, step=step, method=method))
    for step in (-1.0, np.nan, np.inf, 0.0):
        found = run(jnp.asarray(step, DTYPE))
        assert ode.RESULTS[found.result] == "The first step is not finite and above 0."
        assert jnp.isnan(found.final.u).all()
    assert run(jnp.asarray(0.1, DTYPE)).result == ode.RESULTS.successful


def test_step_that_is_no_length_raises_at_run_time():
    method = ode.Method(throw="callback")
    run = jax.jit(lambda step: solved(U0, 0.0, 1.0, step=step, method=method).final.u)
    with pytest.raises(jax.errors.JaxRuntimeError, match="expects a `first_step` that is finite"):
        jax.block_until_ready(run(jnp.asarray(-1.0, DTYPE)))
        jax.effects_barrier()
