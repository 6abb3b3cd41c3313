"""Callbacks, early stopping, logs and pictures."""

import builtins
import functools

import jax
import numpy as np
import optax
import pytest

from sciml_lux import losses, training
from tests.training.models import assert_same_bits, line_data, tiny_state

pytestmark = pytest.mark.any_precision
MSE = losses.MSELoss()
start = functools.cache(tiny_state)


def fit(tstate, data, steps, **options):
    return training.fit(tstate, MSE, data, steps=steps, **({"progress": False} | options))


class Notes(training.Callback):
    def __init__(self, name, notes, every=None):
        self.name, self.notes, self.every = name, notes, every

    def on_start(self, run):
        self.notes.append((self.name, "start", run.done))

    def on_steps(self, run):
        assert run.done == len(run.losses) == int(run.tstate.step) == run.step
        self.notes.append((self.name, "steps", run.done))

    def on_validation(self, run):
        assert run.validation.steps[-1] == run.step
        self.notes.append((self.name, "validation", run.done))

    def on_end(self, run):
        self.notes.append((self.name, "end", run.done))


def test_callbacks_are_called_in_order_at_their_steps(dtype):
    notes = []
    callbacks = [Notes("a", notes, every=2), Notes("b", notes, every=3)]
    data = line_data(dtype)
    fit(start(dtype), data, 7, callbacks=callbacks, validation=data, validation_every=6)
    assert notes == [
        ("a", "start", 0),
        ("b", "start", 0),
        ("a", "steps", 2),
        ("b", "steps", 3),
        ("a", "steps", 4),
        ("a", "validation", 6),
        ("b", "validation", 6),
        ("a", "steps", 6),
        ("b", "steps", 6),
        ("b", "end", 7),
        ("a", "end", 7),
    ]


def test_callbacks_do_not_change_the_result(dtype):
    data, stop = line_data(dtype), training.EarlyStopping(99, monitor="loss", every=3)
    plain = fit(start(dtype), data, 20)
    watched = fit(start(dtype), data, 20, callbacks=[stop], validation=data, validation_every=7)
    assert_same_bits(watched.tstate, plain.tstate)


def test_callback_can_end_the_fit(dtype):
    class Stop(training.Callback):
        every = 5

        def on_steps(self, run):
            if run.done == 10:
                assert run.steps == 1000 and not run.stopped
                run.stop("enough")

    result = fit(start(dtype), line_data(dtype), 1000, callbacks=[Stop()])
    assert len(result.losses) == 10 and result.message == "enough"


def test_all_callbacks_end_though_one_fails_to(dtype):
    notes = []

    class Fails(training.Callback):
        def on_end(self, run):
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fit(start(dtype), line_data(dtype), 2, callbacks=[Notes("a", notes), Fails()])
    assert notes[-1] == ("a", "end", 2)


def test_callbacks_of_another_kind_are_an_error(dtype):
    with pytest.raises(TypeError, match="`callbacks` to hold instances of Callback, got <built-in"):
        fit(start(dtype), line_data(dtype), 2, callbacks=[print])
    for every in (0, 2.5):
        text = f"`Notes` expects `every` to be an integer of at least 1, got {every}"
        with pytest.raises((TypeError, ValueError), match=text):
            fit(start(dtype), line_data(dtype), 2, callbacks=[Notes("a", [], every)])


class Curve:
    """A fit in words: a source whose loss is given, by a state that the optimiser leaves alone."""

    def __init__(self, values, dtype):
        self.values = np.asarray(values, dtype)
        self.tstate = tiny_state(dtype, optax.sgd(1e-3))

    def fit(self, stopping, **options):
        data = training.Batches(self.values[:, None], 1, shuffle=False)
        return training.fit(
            self.tstate,
            given_loss,
            data,
            steps=200,
            callbacks=[stopping],
            progress=False,
            **options,
        )


def given_loss(model, ps, st, data):
    return data[0, 0] + 0 * ps.layer_1.bias.sum(), st, {}


def stop_of(checks, patience, min_delta):
    """Where to stop and what is best, counted from 1, as one would by hand."""
    best, at, bad = float("inf"), 0, 0
    for number, value in enumerate(checks, 1):
        if value < best - min_delta:
            best, at, bad = value, number, 0
        else:
            bad += 1
        if bad == patience:
            return number, at
    return len(checks), at


@pytest.mark.parametrize(("patience", "min_delta"), [(1, 0.0), (2, 0.0), (3, 0.25), (2, 1.5)])
def test_early_stopping_of_the_loss_stops_where_it_should(dtype, patience, min_delta):
    values = np.tile([8.0, 7.0, 7.5, 6.0, 6.5, 6.25, 5.875, 6.0, 6.0, 6.0], 20)
    checks = values.reshape(-1, 2).mean(axis=1)
    stops, best = stop_of(checks, patience, min_delta)
    stopping = training.EarlyStopping(patience, min_delta, "loss", every=2)
    result = Curve(values, dtype).fit(stopping)
    assert len(result.losses) == 2 * stops < 200
    assert int(result.best.step) == 2 * best
    assert result.message == (
        f"EarlyStopping: the loss did not improve in {patience} checks; best "
        f"{checks[best - 1]:.6g} at step {2 * best}"
    )


def test_early_stopping_of_the_validation_keeps_the_best_state(dtype):
    x, y = line_data(dtype)
    # On the way from nothing to one line it passes by the held-out one.
    options = {"validation": (x, 0.3 * y), "validation_every": 5}
    tstate = tiny_state(dtype, optax.adam(1e-2))
    tstate = tstate.replace(parameters=jax.tree.map(lambda p: p / 10, tstate.parameters))
    result = fit(tstate, (x, y), 400, callbacks=[training.EarlyStopping(4)], **options)
    seen = result.validation
    best = int(np.argmin(seen.losses))
    assert 0 < best < len(seen.steps) - 1 and len(seen.losses) == best + 5
    assert len(result.losses) == seen.steps[-1] < 400
    assert_same_bits(result.best, fit(tstate, (x, y), int(seen.steps[best])).tstate)
    kept = training.EarlyStopping(4, keep_best=False)
    assert fit(tstate, (x, y), 400, callbacks=[kept], **options).best is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_early_stopping_takes_what_is_not_finite_for_no_better(dtype, value):
    values = np.concatenate([[3.0, 2.0], np.full(198, 4.0)])
    text = rf"loss on `validation` is {value} at step 1. `validation\[0, 0\]` is {value}: correct"
    with pytest.warns(training.NonFiniteWarning, match=text) as warned:
        result = Curve(values, dtype).fit(
            training.EarlyStopping(3),
            validation=np.full((1, 1), value, dtype),
            validation_every=1,
        )
    assert len(warned) == 1
    assert len(result.losses) == 3 and result.best is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"patience": 0}, "`patience` to be an integer of at least 1, got 0"),
        ({"patience": 2, "every": 1.5}, "`every` to be an integer of at least 1, got 1.5"),
        ({"patience": 2, "min_delta": -1.0}, "`min_delta` to be a number of at least 0, got -1.0"),
        ({"patience": 2, "monitor": "val"}, '`monitor` to be "validation" or "loss", got \'val\''),
    ],
)
def test_early_stopping_of_bad_options_is_an_error(arguments, text):
    with pytest.raises((TypeError, ValueError), match=text):
        training.EarlyStopping(**arguments)


def test_early_stopping_without_validation_is_an_error(dtype):
    with pytest.raises(ValueError, match='monitors "validation", but `fit` got no `validation` da'):
        fit(start(dtype), line_data(dtype), 2, callbacks=[training.EarlyStopping(3)])
    both = [training.EarlyStopping(3, monitor="loss"), training.EarlyStopping(3)]
    with pytest.raises(ValueError, match="one EarlyStopping that keeps the best state, got 2"):
        fit(start(dtype), line_data(dtype), 2, callbacks=both)


def test_log_has_a_row_for_each_step(tmp_path, dtype):
    data = line_data(dtype)
    path = tmp_path / "deep" / "log.csv"
    options = {"callbacks": [training.CSVLog(path)], "validation": data, "validation_every": 2}
    result = fit(fit(start(dtype), data, 3).tstate, data, 4, **options)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert rows[0] == ["step", "loss", "validation"]
    assert [int(row[0]) for row in rows[1:]] == [3, 4, 5, 6, 7]
    assert [float(row[1]) for row in rows[1:-1]] == result.losses.tolist()
    assert rows[-1][1] == "" and [row[2] for row in rows[1:]] == [
        "",
        "",
        repr(float(result.validation.losses[0])),
        "",
        repr(float(result.validation.losses[1])),
    ]


def test_log_is_kept_in_a_checkpoint_folder_only(tmp_path, dtype):
    fit(start(dtype), line_data(dtype), 3, checkpoint=tmp_path / "run.ckpt")
    assert not (tmp_path / "losses.csv").exists()
    mine = training.CSVLog(tmp_path / "run" / "losses.csv")
    fit(start(dtype), line_data(dtype), 3, checkpoint=tmp_path / "run", callbacks=[mine])
    assert len((tmp_path / "run" / "losses.csv").read_text().splitlines()) == 4


def test_log_does_not_overwrite_a_file_of_another_kind(tmp_path, dtype):
    (tmp_path / "losses.csv").write_text("important\n")
    with pytest.raises(FileExistsError, match="is not a log of losses and would be overwritten"):
        fit(start(dtype), line_data(dtype), 3, checkpoint=tmp_path)
    assert (tmp_path / "losses.csv").read_text() == "important\n"


class Memory:
    def __init__(self):
        self.scalars, self.params, self.closed = [], {}, False

    def log_scalars(self, step, values):
        self.scalars.append((step, dict(values)))

    def log_params(self, values):
        self.params |= values

    def close(self):
        self.closed = True


def test_logger_gets_losses_validations_and_parameters(dtype):
    memory, data = Memory(), line_data(dtype)
    log = training.LogTo(memory, every=2, params={"rate": 0.01})
    result = fit(start(dtype), data, 5, callbacks=[log], validation=data, validation_every=4)
    loss = result.losses
    assert memory.scalars == [
        (1, {"loss": loss[1]}),
        (4, {"validation": result.validation.losses[0]}),
        (3, {"loss": loss[3]}),
    ]
    assert memory.params == {
        "model": repr(start(dtype).model),
        "parameters": 13,
        "steps": 5,
        "rate": 0.01,
    }
    assert memory.closed


def test_logger_without_a_method_is_an_error():
    with pytest.raises(TypeError, match="log_scalars, log_params and close, got object without lo"):
        training.LogTo(object())


def test_losses_are_drawn(tmp_path, dtype):
    data = line_data(dtype)
    result = fit(start(dtype), data, 5, validation=data, validation_every=2)
    path = training.plot_losses(result, tmp_path / "deep" / "losses.png")
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 5000
    with pytest.raises(ValueError, match="a result with losses, got one of 0 steps"):
        training.plot_losses(fit(start(dtype), data, 0), path)


def test_losses_without_matplotlib_name_the_remedy(tmp_path, dtype, monkeypatch):
    plain = builtins.__import__

    def without(name, *arguments):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return plain(name, *arguments)

    result = training.FitResult(start(dtype), np.ones(2))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"needs matplotlib. Install it .* 'sciml_lux\[plots\]'"):
        training.plot_losses(result, tmp_path / "losses.png")


def test_callbacks_may_come_from_a_generator_and_must_be_many():
    notes, data = [], line_data("float32")
    fit(start("float32"), data, 2, callbacks=(Notes(name, notes) for name in "ab"))
    assert {name for name, *_ in notes} == {"a", "b"}
    with pytest.raises(
        TypeError, match=r"`callbacks` to be a list of callbacks, got .*Write callb"
    ):
        fit(start("float32"), data, 2, callbacks=Notes("a", notes))
