"""Metadata of a checkpoint that says something else than its state is never resumed from."""

import re

import jax
import pytest

from sciml_lux import io, losses, training
from tests.io.test_checkpoint_fuzz import joined, parts
from tests.training.models import line_data, tiny_state

pytestmark = pytest.mark.any_precision


def fit(path, steps, **options):
    return training.fit(
        tiny_state("float32"),
        losses.MSELoss(),
        line_data("float32"),
        steps=steps,
        validation=line_data("float32"),
        validation_every=2,
        callbacks=[training.EarlyStopping(50)],
        progress=False,
        checkpoint=path,
        **options,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "x.ckpt"
    fit(path, 5, hyperparameters={"width": 3})
    return path.read_bytes()


def forged(tmp_path, whole, change):
    header, body = parts(whole)
    change(header)
    path = tmp_path / "x.ckpt"
    path.write_bytes(joined(header, body))
    return path


LOSSES = [0.5, 0.4, 0.3, 0.2, 0.1]
NAMES = ["losses", "validation steps", "validation losses", "hyperparameters", "history from step"]
NAMES += ["versions", "optimiser", "data", "first step", "first parameters"]


def test_a_program_that_was_taken_away_is_missed(tmp_path, whole):
    path = forged(tmp_path, whole, lambda header: header["metadata"].pop("program"))
    with pytest.raises(io.CheckpointError, match="it has no settings"):
        fit(path, 6, resume=True)


@pytest.mark.parametrize("name", NAMES)
def test_metadata_that_is_missing_is_refused(tmp_path, whole, name):
    path = forged(tmp_path, whole, lambda header: header["metadata"].pop(name))
    with pytest.raises(io.CheckpointError, match=f"it has no {name}|{name} was None, is now"):
        fit(path, 6, resume=True)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("losses", None, "None for its losses, not a list"),
        ("losses", {}, "{} for its losses, not a list"),
        ("losses", "abcde", "'abcde' for its losses, not a list"),
        ("losses", [*LOSSES[:4], "0.1"], "'0.1' among its losses, not float"),
        ("losses", [*LOSSES[:4], True], "True among its losses, not float"),
        ("losses", [*LOSSES[:4], [0.1]], r"\[0.1\] among its losses, not float"),
        ("losses", LOSSES[:4], "4 losses for 5 steps"),
        ("losses", [*LOSSES, 0.05], "6 losses for 5 steps"),
        ("losses", [], "0 losses for 5 steps"),
        ("validation steps", [2], "2 validation losses for 1 steps"),
        ("validation steps", [2.0, 4.0], "2.0 among its validation steps, not int"),
        ("validation steps", [4, 2], r"\[4, 2\], not in order between 1 and 5"),
        ("validation steps", [2, 2], "not in order"),
        ("validation steps", [0, 2], "not in order"),
        ("validation steps", [4, 6], "not in order"),
        ("validation steps", [2, 10**30], "not in order"),
        ("validation losses", [0.1], "1 validation losses for 2 steps"),
        ("validation losses", [0.1, None], "None among its validation losses, not float"),
        ("hyperparameters", [1], r"\[1\] for its hyperparameters, not a dict"),
        ("hyperparameters", None, "None for its hyperparameters, not a dict"),
        ("hyperparameters", 10**4000, "1000*... for its hyperparameters, not a dict"),
    ],
)
def test_metadata_of_another_type_or_length_is_refused(tmp_path, whole, name, value, text):
    path = forged(tmp_path, whole, lambda header: header["metadata"].update({name: value}))
    with pytest.raises(io.CheckpointError, match=f"cannot be resumed from: it has .*{text}") as e:
        fit(path, 6, resume=True)
    assert len(str(e.value)) < 500 and str(path) in str(e.value)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("tstate.step", 4, "5 losses for 4 steps"),
        ("tstate.step", -1, "5 losses for -1 steps"),
        ("best.step", 9, "its best state is of step 9, not between 0 and 5"),
        ("best.step", -1, "its best state is of step -1, not between 0 and 5"),
    ],
)
def test_step_that_does_not_fit_is_refused(tmp_path, whole, name, value, text):
    path = tmp_path / "x.ckpt"
    path.write_bytes(whole)
    checkpoint = io.load_checkpoint(path)
    start = tiny_state("float32")
    trees = {n: checkpoint.restore(start, n) for n in ("tstate", "best")}
    trees["program"] = checkpoint.leaves["program"]
    tree = name.removesuffix(".step")
    step = jax.numpy.asarray(value, trees[tree].step.dtype)
    trees[tree] = jax.tree_util.tree_map_with_path(
        lambda p, leaf: step if jax.tree_util.keystr(p) == ".step" else leaf, trees[tree]
    )
    io.save_checkpoint(path, checkpoint.metadata, **trees)
    with pytest.raises(io.CheckpointError, match=re.escape(text)):
        fit(path, 6, resume=True)


def test_what_is_as_it_was_is_resumed(tmp_path, whole):
    path = forged(tmp_path, whole, lambda header: header["metadata"].update({"more": 1}))
    assert len(fit(path, 6, resume=True).losses) == 6
