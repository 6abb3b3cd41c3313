"""Full-batch optimisers behind one call, against problems whose solution is known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, precision, training
from sciml_lux.training.minimisers import _optimistix_method
from tests.conftest import X64, needs_x64
from tests.training.models import assert_same_bits, line_data, tiny_state

any_precision = pytest.mark.any_precision

LOSS = losses.MSELoss()
TOLERANCE = {"rtol": 1e-10, "atol": 1e-10} if X64 else {"rtol": 1e-5, "atol": 1e-5}
GENERAL = {
    "scipy": training.SciPy("L-BFGS-B", gtol=1e-12, ftol=1e-16),
    "scipy BFGS": training.SciPy("BFGS", tol=1e-8),
    "scipy SLSQP": training.SciPy("SLSQP", ftol=1e-14),
    "scipy Newton-CG": training.SciPy("Newton-CG", xtol=1e-8),
    "BFGS": optimistix.BFGS(**TOLERANCE),
    "LBFGS": optimistix.LBFGS(**TOLERANCE),
    "optax lbfgs": optax.lbfgs(),
}
SQUARES = {
    "LevenbergMarquardt": optimistix.LevenbergMarquardt(**TOLERANCE),
    "GaussNewton": optimistix.GaussNewton(**TOLERANCE),
    "Dogleg": optimistix.Dogleg(**TOLERANCE),
}


def minimise(*arguments, **options):
    return training.minimise(*arguments, **{"progress": False} | options)


def line_state(dtype):
    return tiny_state(dtype, optax.adam(1e-2), nn.Dense(1, 1))


@pytest.mark.parametrize("name", [*GENERAL, *SQUARES])
def test_every_method_finds_the_line(dtype, name):
    method = (GENERAL | SQUARES)[name]
    start = line_state(dtype)
    result = minimise(start, LOSS, line_data(dtype), method, steps=60)
    ps = result.tstate.parameters
    assert ps.weight.dtype == ps.bias.dtype == dtype
    exact = name in SQUARES
    limit = (1e-12 if exact else 1e-6) if X64 else 2e-3
    np.testing.assert_allclose([ps.weight[0, 0], ps.bias[0]], [2.0, 1.0], atol=limit)
    first = LOSS(start.model, start.parameters, start.states, line_data(dtype))[0]
    np.testing.assert_allclose(result.losses[0], first, rtol=1e-6)
    assert result.losses[-1] <= result.losses[0] and int(result.tstate.step) > 0
    assert result.tstate.optimizer is start.optimizer
    if name != "optax lbfgs":
        assert result.converged or not X64


@needs_x64
def test_residuals_given_by_hand_are_a_sum_of_squares(dtype):
    def residuals(model, ps, st, data):
        x, y = data
        return {"fit": model(x, ps, st)[0] - y, "size": 1e-3 * ps.weight}

    objective, tstate, data = training.LeastSquares(residuals), line_state(dtype), line_data(dtype)
    method = SQUARES["LevenbergMarquardt"]
    result = minimise(tstate, objective, data, method)
    slope = jax.grad(lambda ps: objective(tstate.model, ps, tstate.states, data)[0])
    for leaf in jax.tree.leaves(slope(result.tstate.parameters)):
        np.testing.assert_allclose(leaf, 0.0, atol=1e-10)
    r = objective.residuals(tstate.model, tstate.parameters, tstate.states, data)
    total = sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(r))
    np.testing.assert_allclose(result.losses[0], total, rtol=1e-12)


def test_curvature_of_complex_residuals_of_zero_is_that_of_the_square():
    objective = training.LeastSquares(lambda model, ps, st, data: ps)
    slope = jax.grad(lambda z: objective(None, z, None, None)[0])
    zero, one = jnp.zeros(1, jnp.complex64), jnp.ones(1, jnp.complex64)
    assert jax.jvp(slope, (zero,), (one,))[1].tolist() == [2]


@pytest.mark.parametrize("agg", [losses.mean, losses.total])
def test_residuals_of_the_squared_error_sum_to_it(dtype, agg):
    loss, tstate, data = losses.MSELoss(agg=agg), line_state(dtype), line_data(dtype)
    r = loss.residuals(tstate.model, tstate.parameters, tstate.states, data)
    expected = loss(tstate.model, tstate.parameters, tstate.states, data)[0]
    np.testing.assert_allclose(jnp.sum(r * r), expected, rtol=1e-5)


@needs_x64
@pytest.mark.parametrize("name", ["BFGS", "LBFGS", "LevenbergMarquardt"])
def test_float64_solves_are_clean(dtype, name):
    tstate, data = line_state(dtype), line_data(dtype)
    structure, leaves = tstate.flat
    options, treedef = jax.tree.flatten((GENERAL | SQUARES)[name])
    statics = (LOSS, (tuple(options), treedef), structure)
    begin, take = (_optimistix_method.solver_function(part, *statics) for part in ("begin", "take"))
    point, count = begin(leaves, data, []), np.int32(5)
    report = precision.audit(
        lambda *a: take(*a, [], point, count).parameters, leaves, data, grads=0
    )
    losing = [f for f in report.failures if f.kind in ("narrowing", "low precision")]
    assert losing == [], report


def test_history_goes_on_from_one_method_to_the_next(dtype):
    data, start = line_data(dtype), line_state(dtype)
    adam = training.fit(start, LOSS, data, steps=5, progress=False)
    both = minimise(adam, LOSS, data, GENERAL["scipy"], steps=3)
    np.testing.assert_array_equal(both.losses[:5], adam.losses)
    assert len(both.losses) > 5 and both.losses[-1] < adam.losses[-1]
    assert int(both.tstate.step) > 5
    again = training.fit(both.tstate, LOSS, data, steps=2, progress=False)
    assert int(again.tstate.step) == int(both.tstate.step) + 2


@any_precision
def test_another_optimiser_keeps_parameters_and_step(dtype):
    moved = training.fit(line_state(dtype), LOSS, line_data(dtype), steps=3, progress=False)
    switched = moved.tstate.with_optimizer(optax.sgd(0.5))
    assert_same_bits(switched.parameters, moved.tstate.parameters)
    assert int(switched.step) == 3
    step = training.single_train_step(training.AutoReverse(), LOSS, line_data(dtype), switched)
    for p, g, q in zip(
        *map(jax.tree.leaves, (switched.parameters, step[0], step[3].parameters)), strict=True
    ):
        np.testing.assert_allclose(p - 0.5 * g, q, rtol=1e-5)


@pytest.mark.parametrize("name", ["scipy", "BFGS", "LevenbergMarquardt", "GaussNewton"])
def test_float32_parameters_stay_float32(name):
    data, method = line_data(jnp.float32), (GENERAL | SQUARES)[name]
    result = minimise(line_state(jnp.float32), LOSS, data, method, steps=20)
    ps = result.tstate.parameters
    assert ps.weight.dtype == ps.bias.dtype == jnp.float32
    np.testing.assert_allclose(ps.weight[0, 0], 2.0, atol=1e-3)


def test_loss_that_is_not_finite_is_refused(dtype):
    x, y = line_data(dtype)
    for method in (GENERAL["scipy"], GENERAL["BFGS"]):
        with pytest.raises(FloatingPointError, match="the loss is nan at the start, so nothing"):
            minimise(line_state(dtype), LOSS, (x, y * np.nan), method, steps=3)


def test_method_of_another_kind_is_an_error(dtype):
    with pytest.raises(TypeError, match=r"a solver of optimistix, .* got 'lbfgs'. The order is"):
        minimise(line_state(dtype), LOSS, line_data(dtype), "lbfgs")


def test_least_squares_without_residuals_is_an_error(dtype):
    text = r"GaussNewton needs the residuals .* got MAELoss\(\). Pass losses.MSELoss\(\) or"
    with pytest.raises(TypeError, match=text):
        minimise(line_state(dtype), losses.MAELoss(), line_data(dtype), SQUARES["GaussNewton"])


def test_squared_error_of_another_aggregation_has_no_residuals(dtype):
    loss = losses.MSELoss(agg=jnp.max)
    with pytest.raises(ValueError, match="a sum of squares with `agg` mean or total, got"):
        minimise(line_state(dtype), loss, line_data(dtype), SQUARES["Dogleg"])


def test_complex_parameters_are_not_for_scipy():
    model = nn.Dense(1, 1)
    tstate = training.TrainState(model, *lux.setup(0, model, dtype=jnp.complex64), optax.sgd(0.1))
    with pytest.raises(TypeError, match="SciPy expects real parameters, got complex64 at `weight`"):
        minimise(tstate, LOSS, line_data(jnp.float32))


@any_precision
@pytest.mark.parametrize("method", [training.SciPy("TNC"), GENERAL["BFGS"]])
@pytest.mark.parametrize(
    ("steps", "kind"), [(0, ValueError), (-1, ValueError), (2.5, TypeError), (True, TypeError)]
)
def test_steps_that_are_none_are_refused(method, steps, kind):
    with pytest.raises(kind, match=f"`steps` to be an integer of at least 1, got {steps!r}"):
        minimise(tiny_state("float32"), LOSS, line_data("float32"), method, steps=steps)


def test_tnc_takes_no_more_steps_than_asked_for(dtype):
    result = minimise(tiny_state(dtype), LOSS, line_data(dtype), training.SciPy("TNC"), steps=3)
    assert len(result.losses) <= 4 and int(result.tstate.step) <= 3


def test_differences_of_gradients_are_taken_at_a_step_that_the_dtype_resolves():
    def final(**options):
        method = training.SciPy("Newton-CG", **options)
        return minimise(tiny_state("float32"), LOSS, line_data("float32"), method).losses[-1]

    # At SciPy's own default most differences are rounding alone, in float32.
    assert final() < 1e-2 and 10 * final() < final(eps=1.49e-8)
    for name, option in (("Newton-CG", "eps"), ("tnc", "accuracy")):
        for dtype, size in (("float32", 2.0**-23), ("bfloat16", 2.0**-7)):
            ps = {"a": jnp.ones(1, dtype), "b": jnp.ones(2, "float32")}
            assert training.SciPy(name).difference_step(ps) == {option: size**0.5}
    assert training.SciPy("BFGS").difference_step(ps) == {}


@pytest.mark.parametrize("name", ["Nelder-Mead", "COBYLA", "dogleg", "bfgs2"])
def test_methods_without_a_gradient_are_refused(name):
    with pytest.raises(ValueError, match="`SciPy` expects a method that takes a gradient, one of"):
        training.SciPy(name)


@needs_x64
@pytest.mark.parametrize("narrow", ["float32", "bfloat16"])
def test_optimistix_leaves_the_switch_and_the_objective_alone(narrow):
    seen = set()

    def objective(model, ps, st, data):
        x, y = data
        gap = (model(x, ps, st)[0] - y).astype(jnp.float64)
        seen.add((jax.config.jax_enable_x64, gap.dtype.name, ps.weight.dtype.name))
        return jnp.mean(gap**2), st, {}

    data, tstate = line_data(narrow), line_state(narrow)
    result = minimise(tstate, objective, data, GENERAL["BFGS"], steps=20)
    assert seen == {(True, "float64", narrow)}
    assert precision.tree_dtype(result.tstate.parameters) == narrow
    assert result.losses[-1] < 0.1 * result.losses[0]


def test_optimistix_does_not_promote_in_the_objective_what_strict_promotion_forbids():
    """The solvers themselves need standard promotion."""

    def objective(model, ps, st, data):
        return jnp.sum(ps.weight * jnp.ones((1, 1), jnp.float16)), st, {}

    data = line_data(jnp.float32)
    forbidden = pytest.raises(ValueError, match="no available implicit dtype promotion path")
    with jax.numpy_dtype_promotion("strict"), forbidden:
        minimise(line_state(jnp.float32), objective, data, GENERAL["BFGS"])


@any_precision
@pytest.mark.parametrize("first", ["GaussNewton", "LevenbergMarquardt"])
def test_solvers_that_share_the_code_of_their_norms_are_no_functions_written_anew(first, dtype):
    """optimistix wraps each of its norms in a function of the same code; a warning is an error."""
    for name in (first, "Dogleg", first):
        minimise(line_state(dtype), LOSS, line_data(dtype), SQUARES[name], steps=1)


@needs_x64
def test_optimistix_names_the_leaf_whose_gradient_loses_digits():
    @jax.custom_vjp
    def cut(x):
        return x

    cut.defvjp(lambda x: (x, None), lambda _, t: (t.astype(jnp.float32),))

    def objective(model, ps, st, data):
        return jnp.sum(cut(ps.weight) ** 2) + jnp.sum(ps.bias**2), st, {}

    tstate = line_state(jnp.float64)
    with pytest.raises(lux.core.StateStructureError, match="gradient.*weight"):
        minimise(tstate, objective, line_data(jnp.float64), GENERAL["BFGS"])
