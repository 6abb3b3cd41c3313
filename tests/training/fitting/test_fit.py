import re
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sciml_lux import io, losses, nn, testing, training
from tests.conftest import needs_x32
from tests.training.models import AD, assert_same_bits, line_data, tiny_state

MSE = losses.MSELoss()
any_precision = pytest.mark.any_precision


def fit(tstate, data, steps, **options):
    return training.fit(tstate, MSE, data, steps=steps, **({"progress": False} | options))


def test_fit_equals_single_steps(dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    result = fit(tstate, data, 10)
    seen = []
    for _ in range(10):
        _, loss, _, tstate = training.single_train_step(AD, MSE, data, tstate)
        seen.append(float(loss))
    tolerance = 1e-12 if dtype == jnp.float64 else 1e-4
    np.testing.assert_allclose(result.losses, seen, rtol=tolerance)
    assert int(result.tstate.step) == 10


def test_fit_does_not_depend_on_how_steps_are_cut(dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    whole = fit(tstate, data, 50)
    first = fit(tstate, data, 17)
    second = fit(first.tstate, data, 33)
    assert_same_bits(second.tstate, whole.tstate)
    np.testing.assert_array_equal(np.concatenate([first.losses, second.losses]), whole.losses)


def test_fit_resumes_to_the_same_bits(tmp_path, dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    whole = fit(tstate, data, 50)
    fit(tstate, data, 23, checkpoint=tmp_path)
    resumed = fit(tstate, data, 50, checkpoint=tmp_path, resume=True)
    assert_same_bits(resumed.tstate, whole.tstate)
    assert resumed.losses.tobytes() == whole.losses.tobytes()
    again = fit(tstate, data, 50, checkpoint=tmp_path, resume=True)
    assert_same_bits(again.tstate, whole.tstate)


def test_fit_without_resume_starts_anew(tmp_path, dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    fit(tstate, data, 5, checkpoint=tmp_path / "run.ckpt")
    assert len(fit(tstate, data, 3, checkpoint=tmp_path / "run.ckpt").losses) == 3
    assert (tmp_path / "run.ckpt").exists()


def test_fit_saves_every_so_many_steps(tmp_path, dtype, monkeypatch):
    saved = []
    monkeypatch.setattr(
        "sciml_lux.training.fitting._saver.save_checkpoint",
        lambda file, metadata, **trees: saved.append(len(metadata["losses"])),
    )
    fit(tiny_state(dtype), line_data(dtype), 10, checkpoint=tmp_path, checkpoint_every=4)
    assert saved == [4, 8, 10]


def test_fit_takes_other_data_at_each_step(dtype):
    x, y = line_data(dtype)

    def batch(step):
        key = jax.random.fold_in(jax.random.key(0), step)
        rows = jax.random.choice(key, 8, (4,), replace=False)
        return x[rows], y[rows]

    tstate = tiny_state(dtype)
    result = fit(tstate, batch, 5)
    for step in range(5):
        _, loss, _, tstate = training.single_train_step(AD, MSE, batch(jnp.int32(step)), tstate)
        np.testing.assert_allclose(result.losses[step], loss, rtol=1e-4)


def test_fit_of_zero_steps_changes_nothing(dtype):
    tstate = tiny_state(dtype)
    result = fit(tstate, line_data(dtype), 0)
    assert_same_bits(result.tstate, tstate)
    assert result.losses.shape == (0,)


@any_precision
def test_fit_refuses_an_update_that_is_not_finite(tmp_path, dtype):
    start = tiny_state(dtype, optax.adam(0.05))
    first = float(training.compute_gradients(AD, MSE, line_data(dtype), start)[1])

    def objective(model, ps, st, data):
        loss, st, stats = MSE(model, ps, st, data)
        return jnp.where(loss < first / 2, jnp.nan, loss), st, stats

    text = r"not finite at step \d+, so the update was taken back: .*; the last good state is in .*"
    with pytest.raises(FloatingPointError, match=text) as caught:
        training.fit(
            start, objective, line_data(dtype), steps=500, checkpoint=tmp_path, progress=False
        )
    kept = io.load_checkpoint(tmp_path)
    good = kept.restore(start, "tstate")
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(good.parameters))
    assert f"again that of step {int(good.step)};" in str(caught.value)
    assert len(kept.metadata["losses"]) == int(good.step)


@any_precision
def test_fit_refuses_a_gradient_that_is_not_finite_and_keeps_the_old_checkpoint(tmp_path, dtype):
    def objective(model, ps, st, data):  # √ has an infinite slope at 0.
        loss, st, stats = MSE(model, ps, st, data)
        return loss + jnp.sqrt(jnp.sum(ps.layer_1.weight * 0)), st, stats

    start, data = tiny_state(dtype), line_data(dtype)
    fit(start, data, 5, checkpoint=tmp_path)
    before = (tmp_path / "checkpoint.ckpt").read_bytes()
    with pytest.raises(
        FloatingPointError, match=r"not finite at step 0, so the update was refused\."
    ):
        training.fit(start, objective, data, steps=9, checkpoint=tmp_path, progress=False)
    assert (tmp_path / "checkpoint.ckpt").read_bytes() == before


def test_fit_that_fails_to_trace_keeps_the_old_checkpoint(tmp_path, dtype):
    start, data = tiny_state(dtype), line_data(dtype)
    fit(start, data, 5, checkpoint=tmp_path)
    with pytest.raises(ZeroDivisionError):
        training.fit(start, lambda *a: 1 / 0, data, steps=9, checkpoint=tmp_path, progress=False)
    assert len(io.load_checkpoint(tmp_path).metadata["losses"]) == 5


@any_precision
@pytest.mark.parametrize("change", ["parameters", "step", "model"])
def test_fit_does_not_resume_another_fit(tmp_path, dtype, change):
    data = line_data(dtype)
    first = fit(tiny_state(dtype), data, 5, checkpoint=tmp_path).tstate
    other = {
        "parameters": tiny_state(dtype).replace(parameters=first.parameters),
        "step": tiny_state(dtype).replace(step=first.step),
        "model": tiny_state(dtype, model=nn.Chain(nn.Dense(1, 4, nn.relu), nn.Dense(4, 1))),
    }[change]
    text = rf"is of another fit: .*{change}.* was .*, is now .*give each fit of several its own"
    with pytest.raises(io.CheckpointError, match=text):
        fit(other, data, 9, checkpoint=tmp_path, resume=True)


def test_fit_of_fewer_steps_than_stored_is_an_error(tmp_path, dtype):
    fit(tiny_state(dtype), line_data(dtype), 5, checkpoint=tmp_path)
    with pytest.raises(io.CheckpointError, match="holds 5 steps, more than steps=3. Ask for"):
        fit(tiny_state(dtype), line_data(dtype), 3, checkpoint=tmp_path, resume=True)


def test_fit_does_not_overwrite_a_file_of_another_kind(tmp_path, dtype):
    (tmp_path / "notes.ckpt").write_text("important")
    with pytest.raises(io.CheckpointError, match="is not a checkpoint and would be overwritten"):
        fit(tiny_state(dtype), line_data(dtype), 3, checkpoint=tmp_path / "notes.ckpt")
    assert (tmp_path / "notes.ckpt").read_text() == "important"


def test_fit_takes_a_folder_with_a_dot_in_its_name(tmp_path, dtype):
    fit(tiny_state(dtype), line_data(dtype), 3, checkpoint=tmp_path / "v1.2")
    assert (tmp_path / "v1.2" / "checkpoint.ckpt").exists()


@any_precision
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"steps": 5.5}, "`steps` to be an integer of at least 0, got 5.5"),
        ({"steps": -1}, "`steps` to be an integer of at least 0, got -1"),
        ({"steps": "10"}, "`steps` to be an integer of at least 0, got '10'"),
        ({"steps": 3, "checkpoint_every": 0}, "`checkpoint_every` to be an integer of at least 1"),
        ({"steps": 3, "validation_every": 0}, "`validation_every` to be an integer of at least 1"),
        ({"epochs": 1.0}, "`epochs` to be an integer of at least 0, got 1.0"),
        ({}, "either `steps` or `epochs`, got steps=None and epochs=None"),
        ({"steps": 3, "epochs": 1}, "either `steps` or `epochs`, got steps=3 and epochs=1"),
    ],
)
def test_fit_of_bad_options_is_an_error(dtype, options, text):
    with pytest.raises((TypeError, ValueError), match=text):
        training.fit(tiny_state(dtype), MSE, line_data(dtype), progress=False, **options)


def test_fit_of_complex_parameters_goes_downhill(dtype):
    kind = jnp.complex128 if dtype == jnp.float64 else jnp.complex64
    points = np.exp(1j * np.arange(8.0))[:, None]
    x, y = (jnp.asarray(a, kind) for a in (points, (2 - 1j) * points + 0.5j))
    tstate = tiny_state(kind, optax.adam(0.05), nn.Dense(1, 1))
    result = fit(tstate, (x, y), 400)
    assert result.losses[-1] < 1e-6


@any_precision
def test_fit_with_a_line_search(dtype):
    result = fit(tiny_state(dtype, optax.lbfgs()), line_data(dtype), 30)
    assert result.losses[-1] < 1e-3 * result.losses[0]


def test_fit_prints_plain_lines_where_there_is_no_terminal(dtype, capsys):
    training.fit(tiny_state(dtype), MSE, line_data(dtype), steps=7)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"step 7/7  loss \d\.\d{4}e[+-]\d\d  \d+\.\d steps/s  0:00 left", lines[-1])


@any_precision
def test_fit_counts_epochs_in_its_lines(dtype, capsys):
    batches = training.Batches(line_data(dtype), 4)
    training.fit(tiny_state(dtype), MSE, batches, epochs=3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("epoch 1/3  step 1/6  loss ")
    assert lines[-1].startswith("epoch 3/3  step 6/6  loss ")


def test_fit_goes_on_from_a_result_with_its_losses(dtype):
    start, data = tiny_state(dtype), line_data(dtype)
    whole = fit(start, data, 12, validation=data, validation_every=4)
    first = fit(start, data, 8, validation=data, validation_every=4)
    both = fit(first, data, 4, validation=data, validation_every=4)
    assert_same_bits(both.tstate, whole.tstate)
    np.testing.assert_array_equal(both.losses, whole.losses)
    np.testing.assert_array_equal(both.validation.losses, whole.validation.losses)
    assert both.validation.steps.tolist() == whole.validation.steps.tolist() == [4, 8, 12]
    method = training.SciPy("L-BFGS-B")
    third = training.minimise(both, MSE, data, method, steps=2, progress=False)
    assert third.validation.losses.tolist() == both.validation.losses.tolist()
    assert third.losses[:12].tolist() == whole.losses.tolist()


def test_fit_again_with_the_same_objective_compiles_nothing(dtype):
    start, data = tiny_state(dtype), line_data(dtype)
    objective = lambda *given: (*MSE(*given)[:2], {})
    training.fit(start, objective, data, steps=1, progress=False)
    with testing.assert_no_recompile():
        training.fit(start, objective, data, steps=1, progress=False)


@any_precision
def test_fit_resuming_another_model_names_the_path(tmp_path, dtype):
    data = line_data(dtype)
    fit(tiny_state(dtype), data, 2, checkpoint=tmp_path)
    other = tiny_state(dtype, optax.sgd(0.1))
    with pytest.raises(io.CheckpointError, match="does not fit, at `tstate.optimizer"):
        fit(other, data, 4, checkpoint=tmp_path, resume=True)


@needs_x32
def test_fit_of_float64_numpy_data_with_x64_off_names_the_switch():
    with pytest.raises(TypeError, match=r"`data`\[1\], a NumPy array, is float64, but jax_enable"):
        fit(tiny_state(jnp.float32), (jnp.ones((8, 1)), np.ones((8, 1))), 2)


LONG_RUN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # Jobs in the background ignore it.
import jax.numpy as jnp
from sciml_lux import io, losses, nn, training
from tests.training.models import line_data, tiny_state

dtype = jnp.dtype(sys.argv[2])
training.fit(tiny_state(dtype), losses.MSELoss(), line_data(dtype), steps=10**9,
             checkpoint=sys.argv[1], checkpoint_every=100)
"""


@any_precision
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, None), (signal.SIGTERM, 143)])
def test_fit_interrupted_leaves_a_good_checkpoint(tmp_path, dtype, number, code):
    file = tmp_path / "run.ckpt"
    with subprocess.Popen(
        [sys.executable, "-c", LONG_RUN, str(file), dtype.name], stderr=subprocess.DEVNULL
    ) as run:
        deadline = time.monotonic() + 120
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        run.send_signal(number)
        try:
            ended = run.wait(timeout=60)
            assert ended != 0 and code in (None, ended)
        finally:
            run.kill()
    start = tiny_state(dtype)
    checkpoint = io.load_checkpoint(file)
    stopped = checkpoint.restore(start, "tstate")
    steps = len(checkpoint.metadata["losses"])
    assert int(stopped.step) == steps > 0
    assert_same_bits(stopped, fit(start, line_data(dtype), steps).tstate)


@any_precision
def test_sigterm_is_left_as_it_was(tmp_path, dtype):
    seen = []

    class Note(training.Callback):
        def on_end(self, run):
            seen.append(signal.getsignal(signal.SIGTERM))

    def run(**options):
        fit(tiny_state(dtype), line_data(dtype), 1, callbacks=[Note()], **options)
        assert signal.getsignal(signal.SIGTERM) is before

    before = signal.getsignal(signal.SIGTERM)
    run()
    run(checkpoint=tmp_path)
    assert seen[0] is before is signal.SIG_DFL and callable(seen[1])
    before = lambda number, frame: None
    signal.signal(signal.SIGTERM, before)
    try:
        run(checkpoint=tmp_path)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert seen[2] is before
