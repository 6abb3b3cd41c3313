"""A fit that is cut anywhere and resumed equals the one that was left alone, bit for bit."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import io, losses, nn, training
from tests.conftest import needs_x64
from tests.training.models import assert_same_bits, line_data, words

pytestmark = pytest.mark.any_precision
MSE = losses.MSELoss()


class Noise(lux.Layer):
    """Adds noise in training, with a key of its own; counts its calls."""

    def initial_states(self, key, dtype):
        return lux.Record(rng=key, calls=jnp.zeros((), jnp.int32), training=lux.Static(True))

    def __call__(self, x, ps, st):
        if not st.training.value:
            return x, st
        key, new = jax.random.split(st.rng)
        noise = 0.05 * jax.random.normal(key, x.shape, x.dtype)
        return x + noise, st | {"rng": new, "calls": st.calls + 1}


@functools.cache
def noisy_state(name, dtype):
    model = nn.Chain(nn.Dense(1, 3, nn.tanh), Noise(), nn.Dense(3, 1))
    optimizer = {"adam": optax.adam(1e-2), "lbfgs": optax.lbfgs()}[name]
    return training.TrainState(model, *lux.setup(1, model, dtype=dtype), optimizer)


@functools.cache
def batches(dtype):
    return training.Batches(line_data(dtype), 3, key=4, last_batch="wrap")


def fit(tstate, steps, **options):
    defaults = {"validation": line_data(tstate.parameters.layer_1.weight.dtype), "progress": False}
    data = batches(tstate.parameters.layer_1.weight.dtype)
    options = {"validation_every": 3} | defaults | options
    return training.fit(tstate, MSE, data, steps=steps, **options)


def assert_same_result(left, right):
    assert_same_bits(left.tstate, right.tstate)
    assert left.losses.tobytes() == right.losses.tobytes()
    assert left.validation.steps.tolist() == right.validation.steps.tolist()
    assert left.validation.losses.tobytes() == right.validation.losses.tobytes()
    if right.best is not None or left.best is not None:
        assert_same_bits(left.best, right.best)


@needs_x64
@pytest.mark.parametrize("name", ["adam", "lbfgs"])
@pytest.mark.parametrize("cut", [1, 4, 9])  # A pass has 8 samples: 2 2/3 batches.
def test_resumed_in_the_middle_of_a_pass_equals_the_whole(tmp_path, name, cut):
    start = noisy_state(name, jnp.dtype(jnp.float64))
    whole = fit(start, 14, checkpoint=tmp_path / "whole")
    fit(start, cut, checkpoint=tmp_path / "cut")
    resumed = fit(start, 14, checkpoint=tmp_path / "cut", resume=True)
    assert_same_result(resumed, whole)
    states = resumed.tstate.states.layer_2
    assert words(states.rng) != words(start.states.layer_2.rng)
    assert int(states.calls) == 14
    files = [(tmp_path / part / "losses.csv").read_bytes() for part in ("whole", "cut")]
    assert files[0] == files[1]


class Fails(training.Callback):
    every = 1

    def __init__(self, where, at):
        self.where, self.at = where, at

    def fail(self, where, run):
        if (where, run.done) == (self.where, self.at):
            raise RuntimeError("no")

    def on_steps(self, run):
        self.fail("on_steps", run)

    def on_validation(self, run):
        self.fail("on_validation", run)

    def on_end(self, run):
        self.fail("on_end", run)


@pytest.mark.parametrize("where", ["on_steps", "on_validation", "on_end"])
def test_callback_that_raises_leaves_a_checkpoint_to_go_on_from(tmp_path, dtype, where):
    start = noisy_state("adam", dtype)

    def stopping():
        return training.EarlyStopping(50)

    whole = fit(start, 8, callbacks=[stopping()], checkpoint=tmp_path / "whole")
    with pytest.raises(RuntimeError, match="no"):
        fit(start, 6, callbacks=[Fails(where, 6), stopping()], checkpoint=tmp_path)
    assert len(io.load_checkpoint(tmp_path).metadata["losses"]) == 6
    resumed = fit(start, 8, callbacks=[stopping()], checkpoint=tmp_path, resume=True)
    assert_same_result(resumed, whole)
    assert (tmp_path / "losses.csv").read_bytes() == (
        tmp_path / "whole" / "losses.csv"
    ).read_bytes()


def test_interrupt_before_a_validation_is_made_up_for(tmp_path, dtype, monkeypatch):
    start = noisy_state("adam", dtype)
    whole = fit(start, 8, callbacks=[training.EarlyStopping(50)])

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("sciml_lux.training.fitting._validator.validation_loss", interrupt)
        fit(start, 8, checkpoint=tmp_path)
    assert len(io.load_checkpoint(tmp_path).metadata["losses"]) == 3
    stopping = training.EarlyStopping(50)
    resumed = fit(start, 8, checkpoint=tmp_path, resume=True, callbacks=[stopping])
    assert_same_result(resumed, whole)


@pytest.mark.parametrize("monitor", ["validation", "loss"])
def test_early_stopping_resumed_stops_at_the_same_step(tmp_path, dtype, monitor):
    start = noisy_state("adam", dtype)

    def stopping():
        return training.EarlyStopping(3, min_delta=0.5, monitor=monitor, every=2)

    whole = fit(start, 60, callbacks=[stopping()])
    assert len(whole.losses) < 60
    for cut in (5, len(whole.losses)):
        path = tmp_path / str(cut)
        fit(start, cut, callbacks=[stopping()], checkpoint=path)
        resumed = fit(start, 60, callbacks=[stopping()], checkpoint=path, resume=True)
        assert_same_result(resumed, whole)
        assert resumed.message == whole.message


def test_log_of_a_killed_fit_has_each_row_once_after_resuming(tmp_path, dtype):
    start = noisy_state("adam", dtype)
    fit(start, 9, checkpoint=tmp_path / "whole")
    fit(start, 4, checkpoint=tmp_path)
    with open(tmp_path / "losses.csv", "a") as file:
        file.write("4,9.0,\n5,0.1")  # Rows behind the checkpoint, the last of them cut off.
    fit(start, 9, checkpoint=tmp_path, resume=True)
    text = (tmp_path / "losses.csv").read_text()
    assert text == (tmp_path / "whole" / "losses.csv").read_text()


def test_states_are_those_of_test_mode_in_validation(dtype):
    start = noisy_state("adam", dtype)
    result = fit(start, 3)
    states = lux.testmode(result.tstate.states)
    moved = result.tstate
    expected = MSE(moved.model, moved.parameters, states, line_data(dtype))[0]
    np.testing.assert_allclose(result.validation.losses, [expected], rtol=1e-6)
    assert moved.states.layer_2.training.value and int(moved.states.layer_2.calls) == 3


def test_hyperparameters_are_in_the_checkpoint(tmp_path, dtype):
    chosen = {"width": 3, "rates": (1e-2, 1e-3), "name": "noisy"}
    fit(noisy_state("adam", dtype), 2, checkpoint=tmp_path, hyperparameters=chosen)
    chosen["width"] = 4
    found = io.load_checkpoint(tmp_path).metadata["hyperparameters"]
    assert found == {"width": 3, "rates": [1e-2, 1e-3], "name": "noisy"}
    for given, expected in ((None, found), ({"width": 5}, {"width": 5})):
        options = {"checkpoint": tmp_path, "resume": True, "hyperparameters": given}
        fit(noisy_state("adam", dtype), 4 if given is None else 6, **options)
        stored = io.load_checkpoint(tmp_path).metadata
        assert stored["hyperparameters"] == expected


@pytest.mark.parametrize("bad", [{"rate": jnp.ones(2, jnp.float32)}, 3])
def test_hyperparameters_that_cannot_be_written_are_refused_before_the_first_step(tmp_path, bad):
    with pytest.raises(TypeError, match="`fit` expects `hyperparameters` that JSON can hold, got"):
        fit(noisy_state("adam", "float32"), 2, checkpoint=tmp_path, hyperparameters=bad)
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_of_another_optimiser_or_state_is_refused(tmp_path, dtype):
    data = line_data(dtype)
    options = {"steps": 3, "checkpoint": tmp_path, "progress": False}
    begin = noisy_state("adam", dtype)
    training.fit(begin, MSE, data, **options)
    model, ps, st = begin.model, begin.parameters, begin.states
    other = training.TrainState(model, ps, st, optax.adabelief(1e-2))
    drawn = begin.replace(states=st | {"layer_2": st.layer_2 | {"rng": jax.random.key(9)}})
    for tstate, name in ((other, "optimiser"), (drawn, "first states")):
        with pytest.raises(io.CheckpointError, match="does not fit|another fit: .*" + name):
            training.fit(tstate, MSE, data, resume=True, **options)


def test_fit_of_no_steps_writes_its_start(tmp_path, dtype):
    data, tstate = line_data(dtype), noisy_state("adam", dtype)
    options = {"checkpoint": tmp_path, "progress": False}
    training.fit(tstate, MSE, data, steps=5, **options)
    training.fit(tstate, MSE, data, steps=0, **options)
    assert io.load_checkpoint(tmp_path).metadata["losses"] == []
    training.fit(tstate, MSE, data, steps=0, resume=True, hyperparameters={"a": 2}, **options)
    assert io.load_checkpoint(tmp_path).metadata["hyperparameters"] == {"a": 2}


def test_best_state_belongs_to_the_rule_that_found_it(tmp_path, dtype):
    tstate = noisy_state("adam", dtype)
    stopping = training.EarlyStopping(50, monitor="loss", every=2)
    best = fit(tstate, 20, checkpoint=tmp_path / "with", callbacks=[stopping]).best
    assert 0 < int(best.step) < 20
    fit(tstate, 20, checkpoint=tmp_path / "without")
    options = {"resume": True, "callbacks": [stopping]}
    late = fit(tstate, 20, checkpoint=tmp_path / "without", **options)
    assert late.best is None  # Its state was not kept when it was met.
    again = fit(tstate, 20, checkpoint=tmp_path / "with", **options)
    assert_same_bits(again.best, best)
    assert fit(tstate, 22, checkpoint=tmp_path / "with", resume=True).best is None


def test_message_says_that_the_best_state_was_not_kept(tmp_path, dtype):
    tstate = noisy_state("adam", dtype)
    fit(tstate, 20, checkpoint=tmp_path)
    stopping = training.EarlyStopping(2, monitor="loss", every=2)
    found = fit(tstate, 22, checkpoint=tmp_path, resume=True, callbacks=[stopping])
    assert found.message.endswith("whose state is not stored: it came before this EarlyStopping")


def test_model_without_parameters_is_evaluated(dtype):
    tstate = training.TrainState(nn.NoOpLayer(), lux.Record(), lux.Record(), optax.sgd(0.1))
    x, y = line_data(dtype)
    found = training.fit(tstate, MSE, (x, y), steps=2, progress=False)
    np.testing.assert_allclose(found.losses, float(jnp.mean((x - y) ** 2)), rtol=1e-6)
