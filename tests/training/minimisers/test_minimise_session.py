"""Callbacks, files, validation and stats of `minimise`, as `fit` has them."""

import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest

from sciml_lux import losses, nn, training
from sciml_lux.training.minimisers import _optimistix_method
from tests.conftest import needs_x64
from tests.training.models import assert_same_bits, line_data, tiny_state

pytestmark = pytest.mark.any_precision
MSE = losses.MSELoss()
SCIPY = training.SciPy("L-BFGS-B")
LEVENBERG = optimistix.LevenbergMarquardt(rtol=1e-12, atol=1e-12)
BFGS = optimistix.BFGS(rtol=1e-12, atol=1e-12)
METHODS = {"scipy": SCIPY, "levenberg": LEVENBERG, "bfgs": BFGS, "optax": optax.lbfgs()}


class WithStats(losses.MSELoss):
    """The squared error, with the size of the bias beside it."""

    def __call__(self, model, ps, st, data):
        loss, st, _ = super().__call__(model, ps, st, data)
        return loss, st, {"bias": ps.layer_2.bias[0]}


class Notes(training.Callback):
    def __init__(self, every, stop=None):
        self.every, self.stop, self.seen = every, stop, []

    def on_steps(self, run):
        self.seen.append((run.done, int(run.tstate.step), len(run.losses)))
        if self.stop == run.done:
            run.stop("enough")


def minimise(tstate, data, method, objective=MSE, **options):
    return training.minimise(tstate, objective, data, method, **{"progress": False} | options)


@pytest.mark.parametrize("name", METHODS)
def test_callbacks_validation_stats_and_progress(tmp_path, dtype, name, capsys):
    tstate, data, notes = tiny_state(dtype), line_data(dtype), Notes(2)
    result = minimise(
        tstate,
        data,
        METHODS[name],
        WithStats(),
        steps=5,
        callbacks=[notes],
        validation=data,
        validation_every=1,
        checkpoint=tmp_path,
        progress=True,
    )
    assert notes.seen == [(2, 2, 2), (4, 4, 4)]
    assert result.validation.steps.tolist() == [1, 2, 3, 4, 5]
    after = [*result.losses[1:5], *result.losses[5:]][: len(result.validation.losses)]
    np.testing.assert_allclose(result.validation.losses[: len(after)], after, rtol=1e-3)
    assert len(result.losses) == (5 if name == "optax" else 6)
    assert result.stats["bias"].shape == (5,)
    assert result.stats["bias"][0] == tstate.parameters.layer_2.bias[0]
    assert "step 5/5  loss " in capsys.readouterr().err.splitlines()[-1]
    kept = training.load_checkpoint(tmp_path)
    assert len(kept.metadata["losses"]) == 5
    rows = (tmp_path / "losses.csv").read_text().splitlines()
    assert rows[0] == "step,loss,validation,stats.bias" and len(rows) == 1 + 6


@pytest.mark.parametrize("name", METHODS)
def test_average_of_an_earlier_optimiser_is_not_what_is_judged(dtype, name):
    optimizer = training.with_average(optax.adam(0.1), 0.9)
    tstate, data = tiny_state(dtype, optimizer), line_data(dtype)
    options = {"steps": 3, "validation": data, "validation_every": 1}
    stopping = training.EarlyStopping(patience=9)
    result = minimise(tstate, data, METHODS[name], callbacks=[stopping], **options)
    after = [*result.losses[1:3], *result.losses[3:]]
    np.testing.assert_allclose(result.validation.losses[: len(after)], after, rtol=1e-3)
    for found in (result.best, result.tstate):
        assert found.optimizer is optimizer
        assert_same_bits(found.averaged_parameters, found.parameters)


def test_loss_scale_is_not_for_solvers(dtype):
    model = nn.AlternatePrecision("float16", nn.Dense(1, 1))
    optimizer = training.with_loss_scale(optax.adam(0.1), 2.0**60)  # No gradient would be finite.
    tstate = tiny_state(dtype, optimizer, model=model)
    result = minimise(tstate, line_data(dtype), SCIPY, steps=5)
    assert result.losses[-1] < 0.01 * result.losses[0]


@pytest.mark.parametrize("name", METHODS)
def test_a_callback_can_end_it(dtype, name):
    notes = Notes(1, stop=3)
    result = minimise(tiny_state(dtype), line_data(dtype), METHODS[name], callbacks=[notes])
    assert result.message == "enough" and int(result.tstate.step) == 3
    assert len(notes.seen) == 3


@needs_x64
@pytest.mark.parametrize("method", ["CG", "SLSQP", "TNC", "trust-constr", "Newton-CG"])
def test_a_callback_ends_every_method_of_scipy(dtype, method):
    notes = Notes(1, stop=2)
    result = minimise(
        tiny_state(dtype), line_data(dtype), training.SciPy(method), callbacks=[notes]
    )
    assert result.message == "enough" and int(result.tstate.step) == 2
    assert len(result.losses) == 3 and result.losses[2] < result.losses[0]


@pytest.mark.parametrize("name", ["levenberg", "bfgs"])
def test_losses_are_the_same_bits_however_many_steps_a_call_takes(dtype, name, monkeypatch):
    found = []
    for seconds in (0.0, 1e6):  # One step for each call; as many as there may be.
        monkeypatch.setattr(_optimistix_method, "_CHUNK_SECONDS", seconds)
        found.append(
            minimise(tiny_state(dtype), line_data(dtype), METHODS[name], WithStats(), steps=7)
        )
    one, many = found
    assert one.losses.tobytes() == many.losses.tobytes()
    assert one.stats["bias"].tobytes() == many.stats["bias"].tobytes()


@pytest.mark.parametrize("name", ["levenberg", "bfgs", "optax"])
def test_it_resumes_to_the_same_bits(tmp_path, dtype, name):
    tstate, data, method = tiny_state(dtype), line_data(dtype), METHODS[name]
    whole = minimise(tstate, data, method, WithStats(), steps=7)
    minimise(tstate, data, method, WithStats(), steps=3, checkpoint=tmp_path)
    options = {"steps": 7, "checkpoint": tmp_path, "resume": True}
    for _ in range(2):  # The second time there is nothing left to do.
        resumed = minimise(tstate, data, method, WithStats(), **options)
        assert_same_bits(resumed.tstate, whole.tstate)
        assert resumed.losses.tobytes() == whole.losses.tobytes()
        assert resumed.stats["bias"].tobytes() == whole.stats["bias"].tobytes()
    with pytest.raises(training.CheckpointError, match="is of another fit|does not fit"):
        minimise(tstate, data, optimistix.LBFGS(rtol=1e-9, atol=1e-9), **options)


def test_it_does_not_depend_on_how_steps_are_cut(dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    whole = minimise(tstate, data, LEVENBERG, steps=12)
    cut = minimise(tstate, data, LEVENBERG, steps=12, callbacks=[Notes(1)])
    assert_same_bits(cut.tstate, whole.tstate)
    assert cut.losses.tobytes() == whole.losses.tobytes()


def test_scipy_cannot_resume(tmp_path, dtype):
    text = r"cannot resume SciPy\('L-BFGS-B'\): SciPy does not give the state of the method away"
    with pytest.raises(ValueError, match=text):
        minimise(tiny_state(dtype), line_data(dtype), SCIPY, checkpoint=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("method", "steps", "most"),
    [
        (training.SciPy(maxiter=3), 50, 3),
        (training.SciPy(maxiter=50), 2, 2),
        (training.SciPy("BFGS", maxiter=None), 2, 2),
        (training.SciPy("TNC", maxfun=15), 50, 15),
    ],
)
def test_the_lower_of_both_limits_holds(dtype, method, steps, most):
    result = minimise(tiny_state(dtype), line_data(dtype), method, steps=steps)
    assert 1 <= int(result.tstate.step) <= most
    assert int(result.tstate.step) == most or method.method == "TNC"


def test_the_old_order_names_the_new_one(dtype):
    with pytest.raises(
        TypeError, match=r"FitResult first, got MSELoss. The order is \(tstate, obj"
    ):
        training.minimise(MSE, line_data(dtype), tiny_state(dtype), BFGS)
    with pytest.raises(TypeError, match="the objective must be a function"):
        training.minimise(tiny_state(dtype), line_data(dtype), MSE, BFGS)


def test_a_point_that_is_not_finite_keeps_the_last_good_state(tmp_path, dtype):
    def residuals(model, ps, st, data):  # Newton's steps to a root that is not there.
        cube = jnp.where(jnp.abs(ps.weight - 2) < 0.1, jnp.nan, ps.weight**3)
        return cube - 8, ps.bias

    tstate = tiny_state(dtype, model=nn.Dense(1, 1))
    start = tstate.parameters | {"weight": jnp.full((1, 1), 9, dtype)}
    tstate, objective = tstate.replace(parameters=start), training.LeastSquares(residuals)
    solver = optimistix.GaussNewton(rtol=1e-6, atol=1e-6)
    file = tmp_path / "a.ckpt"
    text = r"the loss is nan after step [1-9], so the last good state is that of step [1-9]\. Look"
    with pytest.raises(training.NonFiniteError, match=text) as caught:
        minimise(tstate, None, solver, objective, checkpoint=file)
    kept = training.load_checkpoint(file).restore(tstate, "tstate")
    assert_same_bits(kept, caught.value.result.tstate)
    assert 2.1 < float(kept.parameters.weight[0, 0]) < 3.0
    assert len(caught.value.result.losses) == int(kept.step)


@pytest.mark.parametrize("name", ["scipy", "bfgs"])
def test_batches_are_not_for_solvers_of_the_whole(name):
    batches = training.Batches(line_data("float32"), 4)
    with pytest.raises(
        TypeError, match=r"expects `data` to be a tree of arrays, .* got Batches\(8"
    ):
        minimise(tiny_state("float32"), batches, METHODS[name])
