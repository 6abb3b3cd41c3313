"""A fit resumes what it began with, or what it is told to accept."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from sciml_lux.training.compilation import _step_program
from tests.training.models import AD, assert_same_bits

pytestmark = pytest.mark.any_precision
MSE = losses.MSELoss()
X = jnp.linspace(-1.0, 1.0, 8, dtype=jnp.float32)[:, None]
DATA = X, 2 * X


def state(optimizer=None, model=None):
    model = model or nn.Dense(1, 1)
    trees = lux.Record(weight=jnp.ones((1, 1), jnp.float32), bias=jnp.zeros(1, jnp.float32))
    return training.TrainState(model, trees, lux.Record(), optimizer or optax.adam(0.1))


def fit(tstate, steps, objective=MSE, data=DATA, **options):
    return training.fit(tstate, objective, data, steps=steps, progress=False, **options)


@pytest.mark.parametrize(
    ("tstate", "options", "text"),
    [
        (lambda: state(optax.adam(0.2)), {}, "`step_size` of the optimiser was -0.1, is now -0.2"),
        (lambda: state(optax.nadam(0.1)), {}, "`nesterov` of the optimiser was False, is now True"),
        (lambda: state(model=nn.Dense(1, 1, lambda x: 2 * x)), {}, "`model.activation` was ident"),
        (state, {"objective": losses.MAELoss()}, "`objective` was MSELoss, is now MAELoss"),
        (
            state,
            {"data": (X[:4], X[:4])},
            r"`data` was float32\[8,1\].*, is now float32\[4,1\]",
        ),
    ],
)
def test_another_step_is_refused_and_accepted_by_name(tmp_path, tstate, options, text):
    whole = fit(state(), 2, checkpoint=tmp_path)
    file = tmp_path / "checkpoint.ckpt"
    before = file.read_bytes()
    for steps in (2, 3):
        with pytest.raises(training.CheckpointError, match=f"another fit: {text}.* accept the ch"):
            fit(tstate(), steps, checkpoint=tmp_path, resume=True, **options)
    assert file.read_bytes() == before
    changed = fit(tstate(), 3, checkpoint=tmp_path, resume="changed", **options)
    assert changed.losses[:2].tolist() == whole.losses.tolist() and len(changed.losses) == 3
    # From now on the file is of the fit that was accepted.
    assert len(fit(tstate(), 3, checkpoint=tmp_path, resume=True, **options).losses) == 3
    with pytest.raises(training.CheckpointError, match="is of another fit"):
        fit(state(), 4, checkpoint=tmp_path, resume=True)


def test_changed_learning_rate_takes_the_steps_of_the_new_one(tmp_path):
    whole = fit(state(), 2, checkpoint=tmp_path)
    new = optax.adam(0.02)
    resumed = fit(state(new), 3, checkpoint=tmp_path, resume="changed").tstate
    by_hand = training.TrainState(resumed.model, *whole.tstate.trees[:2], new).replace(
        optimizer_state=whole.tstate.optimizer_state, step=whole.tstate.step
    )
    by_hand = training.single_train_step(AD, MSE, DATA, by_hand)[-1]
    np.testing.assert_allclose(resumed.parameters.weight, by_hand.parameters.weight, rtol=1e-6)
    assert int(resumed.step) == 3


def test_changed_accepts_what_was_not_changed(tmp_path):
    tstate = state()
    whole = fit(tstate, 4)
    fit(tstate, 2, checkpoint=tmp_path)
    resumed = fit(tstate, 4, checkpoint=tmp_path, resume="changed")
    assert_same_bits(resumed.tstate, whole.tstate)


def test_changed_state_of_another_step_goes_on_and_resumes(tmp_path):
    fit(state(), 2, checkpoint=tmp_path)
    later = state(optax.adam(0.02)).replace(step=3)
    changed = fit(later, 3, checkpoint=tmp_path, resume="changed")
    resumed = fit(later, 4, checkpoint=tmp_path, resume=True)
    assert int(changed.tstate.step) == 3 and int(resumed.tstate.step) == 4
    assert resumed.losses[:3].tolist() == changed.losses.tolist()


def test_changed_method_of_minimise_goes_on_from_the_state_of_the_file(tmp_path):
    before = fit(state(), 8, checkpoint=tmp_path)
    solver = optimistix.BFGS(rtol=1e-6, atol=1e-6)
    options = {"steps": 9, "checkpoint": tmp_path, "resume": "changed", "progress": False}
    after = training.minimise(state(), MSE, DATA, solver, **options)
    assert after.losses[:8].tolist() == before.losses.tolist()
    loss = MSE(before.tstate.model, *before.tstate.trees[:2], DATA)[0]
    np.testing.assert_allclose(after.losses[8], loss, rtol=1e-5)


def test_changed_does_not_accept_trees_of_another_structure(tmp_path):
    fit(state(), 2, checkpoint=tmp_path)
    with pytest.raises(training.CheckpointError, match="`tstate` does not fit"):
        fit(state(optax.sgd(0.1)), 3, checkpoint=tmp_path, resume="changed")


def test_another_initialiser_of_the_same_numbers_is_the_same_fit(tmp_path):
    fit(state(), 2, checkpoint=tmp_path)
    model = nn.Dense(1, 1, init_weight=lux.initializers.orthogonal)
    assert len(fit(state(model=model), 3, checkpoint=tmp_path, resume=True).losses) == 3


@pytest.mark.parametrize("resume", ["yes", 1, None])
def test_resume_is_a_flag_or_changed(tmp_path, resume):
    with pytest.raises(
        ValueError, match=r"`fit` expects `resume` to be True, False or \"changed\""
    ):
        fit(state(), 1, checkpoint=tmp_path, resume=resume)


def other_versions():
    return {"jax": "0.0.1", "platform": "cpu"}


@pytest.mark.parametrize("changed", ["rate", "nothing", "first parameters"])
def test_other_versions_give_one_warning_and_no_refusal(tmp_path, monkeypatch, changed):
    with monkeypatch.context() as patch:
        patch.setattr(_step_program, "versions", other_versions)
        patch.setattr("sciml_lux.training.fitting._saver.versions", other_versions)
        fit(state(), 2, checkpoint=tmp_path)
    assert training.load_checkpoint(tmp_path).metadata["versions"] == other_versions()
    tstate = {
        "rate": state(optax.adam(0.2)),
        "nothing": state(),
        "first parameters": state().replace(
            parameters=lux.Record(
                weight=jnp.zeros((1, 1), jnp.float32), bias=jnp.zeros(1, jnp.float32)
            )
        ),
    }[changed]
    if changed == "nothing":
        assert len(fit(tstate, 3, checkpoint=tmp_path, resume=True).losses) == 3
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert len(fit(tstate, 3, checkpoint=tmp_path, resume=True).losses) == 3
    texts = [str(w.message) for w in told if "other versions" in str(w.message)]
    assert len(texts) == 1 and "is not known whether it is of another fit" in texts[0]


def test_batches_of_a_loader_are_compared_when_the_first_is_drawn(tmp_path):
    loader = training.Stream([tuple(map(np.asarray, DATA))] * 2)
    fit(state(), 2, data=loader, checkpoint=tmp_path)
    assert len(fit(state(), 3, data=loader, checkpoint=tmp_path, resume=True).losses) == 3
    with pytest.raises(training.CheckpointError, match="`step_size` of the optimiser"):
        fit(state(optax.adam(0.2)), 4, data=loader, checkpoint=tmp_path, resume=True)


@pytest.mark.filterwarnings("ignore::sciml_lux.training.RecompilationWarning")
def test_objective_is_traced_no_more_often_for_a_checkpoint(tmp_path):
    counts = []

    def traced(**options):
        calls = []

        def objective(model, ps, st, data):
            calls.append(jax.tree.leaves(data)[0])
            return MSE(model, ps, st, data)

        fit(state(), 1, objective=objective, **options)
        counts.append(len(calls))

    traced()
    traced(checkpoint=tmp_path)
    assert counts[0] == counts[1]
