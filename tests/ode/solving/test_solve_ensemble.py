"""Many trajectories of one equation are those of one solve each; which engine solved is told."""

import functools

import diffrax
import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn, ode
from tests.conftest import X64, needs_x64

REAL = jnp.float64 if X64 else jnp.float32
NUMBER = 5
RNG = np.random.default_rng(0)
U0 = jnp.asarray(1 + 0.2 * RNG.normal(size=(NUMBER, 2)), REAL)
ARGS = {
    "rate": jnp.asarray(1 + 0.2 * RNG.normal(size=(3, NUMBER)), REAL),
    "shared": jnp.asarray(0.5, REAL),
}
AXES = {"rate": 1, "shared": None}
METHOD = ode.Method(rtol=1e-4, atol=1e-4)


def field(t, u, args):
    """Lotka and Volterra's equations, with a drive that all share."""
    a, b, c = args["rate"]
    prey, predators = u
    drive = args["shared"] * jnp.sin(t)
    return jnp.stack([a * prey - prey * predators + drive, b * prey * predators - c * predators])


def problem(u0, **times):
    return ode.Problem(u0, **times)


def together(u0, args, method=METHOD, **times):
    return ode.solve_ensemble(field, problem(u0, **times), args, args_axes=AXES, method=method)


def one_by_one(u0, args, method=METHOD, **times):
    def one(u0, rate):
        args_of_one = {"rate": rate, "shared": args["shared"]}
        never = ode.Method(rtol=method.rtol, atol=method.atol, kernel="never")
        return ode.solve(field, problem(u0, **times), args_of_one, method=never)

    return jax.vmap(one, (0, 1))(u0, args["rate"])


TIMES = [
    {"tspan": (0.0, 1.0)},
    {"ts": jnp.asarray([0.25, 0.5, 1.0], REAL), "tspan": (0.0, 1.0)},
]


@functools.partial(jax.jit, static_argnums=(0, 1))
def solutions_and_slopes(solve, number, u0, args):
    def loss(u0, args):
        found = solve(u0, args, **TIMES[number])
        return jnp.sum(jnp.square(found.ys)), found

    return jax.value_and_grad(loss, (0, 1), has_aux=True)(u0, args)


def close(one, other, precise):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=precise, atol=precise * np.max(np.abs(b)))


@pytest.mark.parametrize("number", [0, 1], ids=["end", "times"])
def test_solutions_and_gradients_are_those_of_one_solve_each(number):
    precise = 1e-11 if X64 else 1e-3
    (_, found), slopes = solutions_and_slopes(together, number, U0, ARGS)
    (_, wanted), wanted_slopes = solutions_and_slopes(one_by_one, number, U0, ARGS)
    assert found.stats.engine == lux.Static("lean-components")
    assert wanted.stats.engine == lux.Static("lean")
    assert found.ys.shape == (NUMBER, [1, 3][number], 2)
    np.testing.assert_array_equal(found.stats.num_steps, wanted.stats.num_steps)
    close((found.ys, found.final.u), (wanted.ys, wanted.final.u), precise)
    close(slopes, wanted_slopes, 10 * precise)


def test_gradients_of_no_trajectories_are_empty():
    def total(rates):
        found = ode.solve_ensemble(
            lambda t, u, rate: -rate * u, problem(jnp.ones((0, 1), REAL), tspan=(0.0, 1.0)), rates
        )
        return jnp.sum(found.ys)

    assert jax.grad(total)(jnp.ones(0, REAL)).shape == (0,)


@pytest.mark.any_precision
@pytest.mark.traced
def test_times_of_each_trajectory_and_what_is_shared():
    times = jnp.linspace(0, 1 + jnp.arange(NUMBER, dtype=REAL), 4).T
    found = jax.eval_shape(lambda u0: together(u0, ARGS, ts=times), U0)
    assert found.ys.shape == (NUMBER, 4, 2) and found.ts.shape == (NUMBER, 4)
    mask = times <= 2  # Of each, at times that all share, and the other way round.
    for parts in ({"ts": times[0], "mask": mask}, {"ts": times, "mask": mask[0]}):
        found = jax.eval_shape(lambda u0, parts=parts: together(u0, ARGS, **parts), U0)
        assert found.ys.shape == (NUMBER, 4, 2) and found.ts.shape == (NUMBER, 4)
    step = jnp.full(NUMBER, 0.1, REAL)
    found = jax.eval_shape(lambda u0: together(u0, ARGS, tspan=(0.0, 1.0), first_step=step), U0)
    assert found.stats.first_step.shape == (NUMBER,)
    without = jax.eval_shape(
        lambda u0: ode.solve_ensemble(lambda t, u, _: -u, problem(u0, tspan=(0.0, 1.0))), U0
    )
    assert without.ys.shape == (NUMBER, 1, 2)


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            lambda: together(U0[:3], ARGS, tspan=(0.0, 1.0)),
            r"axis 1 of `args.rate` to be one of 3 trajectories, got the shape \(3, 5\)",
        ),
        (
            lambda: together(jnp.ones((), REAL), ARGS, tspan=(0.0, 1.0)),
            "leading axis of trajectories in `u0`, got a scalar",
        ),
        (
            lambda: together({"a": U0, "b": U0[:2]}, ARGS, tspan=(0.0, 1.0)),
            r"5 trajectories in `u0.b`, got 2",
        ),
        (
            lambda: ode.solve_ensemble(
                field, problem(U0, tspan=(0.0, 1.0)), ARGS, args_axes={"rate": 1}
            ),
            "`args_axes` to be an axis, None, or a tree of them along `args`",
        ),
        (lambda: together((), ARGS, tspan=(0.0, 1.0)), "at least one array"),
        (lambda: ode.Method(kernel="yes"), "`Method` expects `kernel`"),
    ],
    ids=["axis", "scalar", "numbers", "tree", "empty", "kernel"],
)
def test_what_does_not_fit_is_told(given, text):
    with pytest.raises(ValueError, match=text):
        given()


def test_number_of_trajectories_of_an_exported_program_may_be_a_symbol():
    def slopes(u0):
        def total(u0):
            found = ode.solve_ensemble(lambda t, u, _: -u, problem(u0, tspan=(0.0, 1.0)))
            return jnp.sum(found.ys)

        return jax.grad(total)(u0)

    kind = jax.ShapeDtypeStruct((*jax.export.symbolic_shape("number"), 2), REAL)
    exported = jax.export.export(jax.jit(slopes))(kind)
    for number in (1, NUMBER):
        np.testing.assert_allclose(exported.call(U0[:number]), np.exp(-1), rtol=1e-5)


@pytest.mark.any_precision
@pytest.mark.traced
def test_arguments_that_are_not_arrays_are_told():
    with pytest.raises(TypeError, match="`ode.solve_ensemble` expects `args` to be a tree of arr"):
        ode.solve_ensemble(field, problem(U0, tspan=(0.0, 1.0)), {"rate": "fast"})


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.parametrize("axis", [1.0, "rate", True])
def test_axes_that_are_not_integers_are_told(axis):
    text = "`ode.solve_ensemble` expects `args_axes` to be an integer, got .* Or give None, for"
    with pytest.raises(TypeError, match=text):
        axes = {"rate": 1, "shared": axis}
        ode.solve_ensemble(field, problem(U0, tspan=(0.0, 1.0)), ARGS, args_axes=axes)


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.parametrize(
    ("kernel", "times", "engine"),
    [
        ("auto", {"tspan": (0.0, 1.0)}, "lean-components"),
        ("auto", {"ts": (0.0, 1.0)}, "lean"),
        ("never", {"tspan": (0.0, 1.0)}, "lean"),
    ],
)
def test_form_of_one_solve(kernel, times, engine):
    times = {name: jnp.asarray(value, REAL) for name, value in times.items()}
    method = ode.Method(kernel=kernel)
    args = {"rate": ARGS["rate"][:, 0], "shared": ARGS["shared"]}
    found = jax.eval_shape(
        lambda u0: ode.solve(field, problem(u0, **times), args, method=method), U0[0]
    )
    assert found.stats.engine == lux.Static(engine)
    assert bool(found.stats.why_not_components.value) == (engine == "lean")
    assert found.stats.why_not_kernel.value


@pytest.mark.any_precision
@pytest.mark.traced
def test_a_kernel_that_is_asked_for_and_cannot_be_is_told_once(recwarn):
    method = ode.Method(kernel="always")

    def solved(u0):
        return ode.solve(
            lambda t, u, _: -jnp.sort(u), problem(u0, ts=jnp.ones(1, REAL)), method=method
        )

    with pytest.warns(UserWarning, match="a solve is not by a kernel. `sort`"):
        found = jax.eval_shape(solved, U0[0])
    assert found.stats.engine == lux.Static("lean")
    jax.eval_shape(solved, U0[1, :1])
    assert not [w for w in recwarn if "`sort`" in str(w.message)]


@pytest.mark.any_precision
@pytest.mark.traced
@pytest.mark.filterwarnings("ignore:kernel=")
def test_kernels_hold_no_traced_arrays():
    def total(args):
        found = together(U0, args, ode.Method(kernel="always"), tspan=(0.0, 1.0))
        return jnp.sum(found.ys)

    with jax.checking_leaks():
        jax.eval_shape(jax.grad(total), ARGS)


@pytest.mark.any_precision
@pytest.mark.traced
def test_a_kernel_that_another_engine_does_not_have_is_told():
    method = ode.Method(solver=diffrax.Kvaerno3(), kernel="always")
    with pytest.warns(UserWarning, match=r"not by a kernel. It has solver=Kvaerno3\(\)\."):
        found = jax.eval_shape(
            lambda u0: ode.solve(lambda t, u, _: -u, problem(u0, tspan=(0.0, 1.0)), method=method),
            U0[0],
        )
    assert found.stats.why_not_kernel == lux.Static("It has solver=Kvaerno3().")


@needs_x64
def test_a_failure_names_the_first_trajectory_and_its_own_parameters():
    rates = jnp.asarray([0.1, 1.0, 0.2])
    with pytest.raises(RuntimeError, match=r"sample 1.*grows without bound"):
        ode.solve_ensemble(
            lambda t, u, rate: rate * u**2, problem(jnp.ones((3, 1)), tspan=(0.0, 2.0)), rates
        )


@pytest.mark.any_precision
@pytest.mark.traced
def test_networks_are_solved_by_arrays_and_say_why():
    node = ode.NeuralODE(nn.Chain(nn.Dense(2, 16, nn.tanh), nn.Dense(16, 2)), (0.0, 1.0))
    ps, st = lux.setup(0, node, dtype=REAL)
    found, _ = jax.eval_shape(lambda u0: node.solve(u0, ps, st), U0[0])
    assert found.stats.engine == lux.Static("lean")
    assert "operations" in found.stats.why_not_components.value
