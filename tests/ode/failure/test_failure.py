"""Failed solves: why, where, what they say to whom, and that they have no values."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest

import sciml_lux as lux
from sciml_lux import ode
from tests.conftest import X64, needs_x64
from tests.ode.models import Decay

pytestmark = pytest.mark.any_precision

ADJOINTS = {"lean": None, "diffrax": diffrax.RecursiveCheckpointAdjoint()}
EULER = {"solver": diffrax.Euler(), "dt0": 0.25}
FIXED = {"stepsize_controller": diffrax.ConstantStepSize(), "dt0": 0.25}
MANY = 4096


class Field(lux.Layer):
    """du/dt = rate f(t, u)."""

    f: object

    def initial_parameters(self, key, dtype):
        return lux.Record(rate=jnp.ones((), dtype))

    def __call__(self, tu, ps, st):
        return ps.rate * self.f(*tu), st


def square(t, u):
    return u * u


def root(t, u):
    return -1 / jnp.sqrt(u)


def ends(t, u):
    return jnp.where(t > 0.5, jnp.sqrt(0.5 - t), 1.0) * jnp.ones_like(u)


def jumps(t, u):
    return jnp.where(t > 0.5, 1e30, 1.0).astype(u.dtype) * jnp.ones_like(u)


def pole_at_start(t, u):
    return jnp.where(t > 0, 1 / jnp.where(t > 0, t * t, 1.0), 0.0) * jnp.ones_like(u)


def never_finite(t, u):
    return u * jnp.nan


def stiff(t, u):
    return -1e6 * (u - jnp.cos(t).astype(u.dtype))


def turning(t, u):
    return 500 * jnp.stack([u[1], -u[0]])


def van_der_pol(t, u):
    return jnp.stack([u[1], ((1 - u[0] ** 2) * u[1] - u[0]) / 1e-6])


class AnyOfThem(lux.Layer):
    """du/dt = f(t, u) with that f of the fields whose number is the state: one program for all."""

    fields: tuple = (square, root, ends, jumps, pole_at_start, never_finite, stiff)

    def initial_states(self, key, dtype):
        return lux.Record(number=jnp.zeros((), jnp.int32))

    def __call__(self, tu, ps, st):
        return jax.lax.switch(st.number, self.fields, *tu), st


@functools.cache
def any_of_them(engine, throw, options):
    """The node that solves them, kept, since its program is compiled for it alone."""
    adjoint = ADJOINTS[engine]
    return ode.NeuralODE(
        AnyOfThem(), (0.0, 2.0), time_input=True, throw=throw, adjoint=adjoint, **dict(options)
    )


def one_of_them(f, engine, throw, options):
    dtype = jnp.float64 if X64 else jnp.float32
    node = any_of_them(engine, throw, tuple(options.items()))
    number = jnp.asarray(node.model.fields.index(f), jnp.int32)
    return node.solve(jnp.ones(1, dtype), lux.Record(), lux.Record(number=number))[0]


def solved(f, engine="lean", t1=2.0, u0=(1.0,), **options):
    dtype = jnp.float64 if X64 else jnp.float32
    node = ode.NeuralODE(Field(f), (0.0, t1), time_input=True, adjoint=ADJOINTS[engine], **options)
    return node.solve(jnp.asarray(u0, dtype), *lux.setup(0, node, dtype=dtype))[0]


LOST = "grows without bound, or leaves the finite numbers, at t="
# The step after 62.8 overflows in float32.
LAST, SIZE = (
    (1.25, r"1\.25, where the largest .u. is 1\.33e\+") if X64 else (1.0, r"1, where .* 62\.8")
)
CAUSES = [
    ("diverged", square, {}, 1.0, LOST + r"1\.0000"),
    ("diverged", square, FIXED, LAST, LOST + SIZE),
    ("field_turned_nan", root, {}, 2 / 3, "is not finite beyond t=0.6666.*, where the largest .u."),
    ("field_turned_nan", ends, {}, 0.5, r"is not finite beyond t=0\.(5|49999).*.u. is 1\.5\. Look"),
    ("field_turned_nan", ends, FIXED, 0.5, r"is not finite beyond t=0\.5, where the largest"),
    ("field_not_finite", never_finite, {}, 0.0, r"vector field is not finite at t0=0\.0\. Look at"),
    ("step_too_short", jumps, {}, 0.5, r"no step from t=0\.(5|49999).*, however short, met rtol="),
    ("no_step_accepted", pole_at_start, {}, 0.0, "took no step from t0=0.0: .* Pass a first step"),
    ("max_steps_reached", stiff, {"max_steps": 128}, None, "took max_steps=128 steps and did not"),
]


@pytest.mark.parametrize("engine", ADJOINTS)
@pytest.mark.parametrize(("cause", "f", "options", "t", "text"), CAUSES)
def test_cause_time_and_sentence(engine, cause, f, options, t, text):
    found = one_of_them(f, engine, False, options)
    assert found.stats.engine.value == engine
    assert ode.RESULTS[found.result] == ode.RESULTS[getattr(ode.RESULTS, cause)]
    assert jnp.isnan(found.ys).all()
    assert int(found.stats.num_steps) < MANY / 8
    if t is not None:
        np.testing.assert_allclose(found.stats.time_reached, t, atol=0.3 if options else 1e-4)
    with pytest.raises(RuntimeError, match=f"^`NeuralODE`.* {text}"):
        one_of_them(f, engine, True, options)


@pytest.mark.parametrize("engine", ADJOINTS)
def test_time_reached_is_the_end_of_a_solve_that_succeeds(engine):
    for options in ({}, {"saveat": (0.1, 0.3)}, {"saveat": (0.1, 0.5)}):
        found = solved(root, engine, t1=0.5, throw=False, **options)
        assert found.result == ode.RESULTS.successful and found.stats.time_reached == 0.5
        assert len(found.ys) == len(found.ts) == len(options.get("saveat", (0.5,)))


@pytest.mark.parametrize("engine", ADJOINTS)
def test_empty_state_is_solved(engine, dtype):
    shapes = [(0,), (0, 3), (3, 0)]
    node = ode.NeuralODE(Decay(), (0.0, 1.0), adjoint=ADJOINTS[engine])
    u0 = [jnp.zeros(shape, dtype) for shape in shapes]
    found, _ = node.solve(u0, *lux.setup(0, node, dtype=dtype))
    assert found.result == ode.RESULTS.successful
    assert [us.shape for us in found.ys] == [(1, *shape) for shape in shapes]


def test_fixed_steps_are_too_many():
    with pytest.raises(RuntimeError, match="is at t=0.5, after .* Raise `max_steps`, or lengthen"):
        solved(lambda t, u: -u, max_steps=2, **EULER)


def test_backsolve_knows_the_last_time_saved():
    options = {"adjoint": diffrax.BacksolveAdjoint(), "saveat": (0.5, 0.9, 1.5, 2.0)}
    node = ode.NeuralODE(Field(square), (0.0, 2.0), time_input=True, throw=False, **options)
    dtype = jnp.float64 if X64 else jnp.float32
    found, _ = node.solve(jnp.ones(1, dtype), *lux.setup(0, node, dtype=dtype))
    assert found.stats.time_reached == jnp.asarray(0.9, dtype) and jnp.isnan(found.ys).all()


@pytest.mark.parametrize(
    ("f", "u0", "options", "is_stiff"),
    [
        (stiff, (0.5,), {}, True),
        (van_der_pol, (2.0, 0.0), {}, True),
        (stiff, (0.5,), {"solver": ode.Vern7(), "rtol": 1e-3, "atol": 1e-3}, True),
        (turning, (1.0, 0.0), {}, False),
        (turning, (1.0, 0.0), {"rtol": 1e-2, "atol": 1e-2}, False),
        (lambda t, u: 100 * u, (1.0,), {"rtol": 1e-2, "atol": 1e-2, "max_steps": 16}, False),
        (lambda t, u: 500 * jnp.cos(500 * t).astype(u.dtype) * u, (1.0,), {}, False),
    ],
)
def test_stiffness_is_named_where_stability_limits_the_steps(f, u0, options, is_stiff):
    hint = "is limited by stability. Take an implicit" if is_stiff else "Raise `max_steps`, loosen"
    with pytest.raises(RuntimeError, match=f"steps and did not reach t1=2.0: it is at t=.*{hint}"):
        solved(f, u0=u0, **({"max_steps": 256 if is_stiff else 48} | options))


@needs_x64
def test_implicit_solver_gets_off_its_first_step():
    found = solved(van_der_pol, u0=(2.0, 0.0), t1=1e-3, solver=diffrax.Kvaerno5(), throw=False)
    assert found.result == ode.RESULTS.successful


def test_newtons_method_that_fails_is_named():
    newton = diffrax.VeryChord(rtol=1e-5, atol=1e-5, norm=optimistix.max_norm)
    options = {"solver": diffrax.ImplicitEuler(root_finder=newton), **FIXED}
    no_root = lambda t, u: 4 * u * u + 4
    text = "the implicit equations of ImplicitEuler could not be solved at t=.*Shorten `dt0`"
    with pytest.raises(RuntimeError, match=text):
        solved(no_root, **options)
    assert solved(no_root, throw=False, **options).result == ode.RESULTS.newton_failed


@pytest.mark.parametrize("engine", ADJOINTS)
def test_under_jit_values_and_gradients_are_nan(engine, dtype):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), max_steps=2, adjoint=ADJOINTS[engine], **EULER)
    ps, st = lux.setup(0, node, dtype=dtype)
    u0 = jnp.ones(2, dtype)
    loss = lambda ps, u: jnp.sum(node(u, ps, st)[0])

    def solved(ps, u):
        solution, _ = node.solve(u, ps, st)
        return jnp.sum(solution.ys), solution.result

    (value, result), grads = jax.jit(jax.value_and_grad(solved, (0, 1), has_aux=True))(ps, u0)
    assert all(jnp.isnan(leaf).all() for leaf in jax.tree.leaves((value, grads)))
    assert result == ode.RESULTS.max_steps_reached
    for eager in (lambda: loss(ps, u0), lambda: jax.grad(loss)(ps, u0)):
        with pytest.raises(RuntimeError, match="^`NeuralODE` took max_steps=2 steps and did not"):
            eager()


@pytest.mark.parametrize("engine", ADJOINTS)
def test_one_failure_of_a_batch_is_its_own(engine, dtype):
    node = ode.NeuralODE(Field(square), (0.0, 2.0), time_input=True, adjoint=ADJOINTS[engine])
    ps, st = lux.setup(0, node, dtype=dtype)
    u0 = jnp.asarray([[0.1], [1.0], [jnp.nan], [0.2]], dtype)

    def end(u):
        found, _ = node.solve(u, ps, st)
        return jnp.sum(found.ys), found

    gradient, found = jax.jit(jax.vmap(jax.grad(end, has_aux=True)))(u0)
    np.testing.assert_allclose(found.ys[:, 0, 0], [1 / 8, np.nan, np.nan, 1 / 3], rtol=1e-5)
    names = ["successful", "diverged", "state_not_finite", "successful"]
    for name, row in zip(names, range(4), strict=True):
        assert jax.tree.map(lambda x, row=row: x[row], found.result) == getattr(ode.RESULTS, name)
    np.testing.assert_array_equal(np.isnan(gradient[:, 0]), [False, True, True, False])


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, lambda f: jax.jit(jax.vmap(jax.grad(f)))])
def test_callback_raises_under_jit_with_the_time(transform, dtype, capfd):
    node = ode.NeuralODE(Field(square), (0.0, 2.0), time_input=True, throw="callback")
    ps, st = lux.setup(0, node, dtype=dtype)
    f = transform(lambda u: jnp.sum(node(u[None], ps, st)[0]))
    fine, bad = (jnp.asarray(u, dtype) for u in ([0.1, 0.2], [0.1, 1.0]))
    if transform is jax.jit:
        fine, bad = fine[0], bad[1]
    assert jnp.isfinite(f(fine)).all()
    with pytest.raises(Exception, match=r"`NeuralODE`: the solution grows .* at t=1\.0000"):
        jax.block_until_ready(f(bad))


def test_state_that_is_not_finite_under_jit(dtype):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), **EULER)
    ps, st = lux.setup(0, node, dtype=dtype)
    solution, _ = jax.jit(node.solve)(jnp.asarray([jnp.nan], dtype), ps, st)
    assert solution.result == ode.RESULTS.state_not_finite and jnp.isnan(solution.ys).all()


def test_solve_that_succeeds_has_no_callback(dtype):
    node = ode.NeuralODE(Decay(), (0.0, 1.0), **EULER)
    ps, st = lux.setup(0, node, dtype=dtype)
    program = str(jax.make_jaxpr(node)(jnp.ones(1, dtype), ps, st))
    assert "callback" not in program
