"""The digest of a step's program: another for whatever changes the step, the same otherwise."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import optax
import pytest

from sciml_lux import losses, nn, training
from sciml_lux.initializers import glorot_normal
from sciml_lux.training.compilation._digest import program_lines, words
from sciml_lux.training.compilation._settings import settings_of
from sciml_lux.training.compilation._step_program import StepProgram, difference
from tests.training.compilation.programs_run import PROGRAMS, X, digests, made, net, program

# Objectives of one name, and of one code, are built anew.
pytestmark = [
    pytest.mark.any_precision,
    pytest.mark.filterwarnings("ignore::sciml_lux.training.RecompilationWarning"),
]


def times(factor):
    """An optimiser that closes over an array."""
    factors = jnp.full(20, factor, jnp.float32)
    return optax.stateless(lambda updates, _: jax.tree.map(lambda u: u * factors[3], updates))


def objective_of(weight):
    def objective(model, ps, st, data):
        loss, st, stats = losses.MSELoss()(model, ps, st, data)
        return weight * loss, st, stats

    return objective


@nn.compact(dense=nn.Dense(1, 2), scale=jnp.arange(20, dtype=jnp.float32), options={"a": 1, "b": 2})
def edited(m, x):
    y = nn.relu(m.dense(x)) * m.scale[None, 1:3]
    return jnp.sum(y, axis=-1, keepdims=True)


@nn.compact(dense=nn.Dense(1, 2), scale=jnp.arange(20, dtype=jnp.float32), options={"a": 1, "b": 2})
def renamed(m, inputs):
    """The same by other names."""
    hidden = nn.relu(m.dense(inputs)) * m.scale[None, :2]
    return jnp.sum(hidden, axis=-1, keepdims=True)


DENSE = nn.Dense(1, 1)
CHANGES = {
    "lambda": (
        {"model": nn.Dense(1, 1, lambda x: 2 * x)},
        {"model": nn.Dense(1, 1, lambda x: 3 * x)},
    ),
    "body of compact": ({"model": net}, {"model": edited}),
    "activation": ({"model": nn.Dense(1, 1, nn.tanh)}, {"model": nn.Dense(1, 1, nn.gelu)}),
    "learning rate": ({"optimizer": optax.adam(1e-2)}, {"optimizer": optax.adam(2e-2)}),
    "b1": ({"optimizer": optax.adam(1e-2)}, {"optimizer": optax.adam(1e-2, b1=0.8)}),
    "weight decay": (
        {"optimizer": optax.adamw(1e-2)},
        {"optimizer": optax.adamw(1e-2, weight_decay=1e-3)},
    ),
    "schedule": (
        {"optimizer": optax.adam(optax.constant_schedule(1e-2))},
        {"optimizer": optax.adam(optax.linear_schedule(1e-2, 1e-3, 10))},
    ),
    "nadam": ({"optimizer": optax.adam(1e-2)}, {"optimizer": optax.nadam(1e-2)}),
    "chain of closures": (
        {"optimizer": optax.chain(times(1.0), optax.sgd(0.1))},
        {"optimizer": optax.chain(times(2.0), optax.sgd(0.1))},
    ),
    "objective of the same name": (
        {"objective": objective_of(1.0)},
        {"objective": objective_of(2.0)},
    ),
    "loss": ({"objective": losses.MSELoss()}, {"objective": losses.MAELoss()}),
    "number of rows": ({}, {"data": (X[:4], X[:4])}),
    "batch size": (
        {"data": training.Batches((X, X), 2, key=1)},
        {"data": training.Batches((X, X), 4, key=1)},
    ),
}


@pytest.mark.filterwarnings("ignore::sciml_lux.training.RecompilationWarning")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_digest_is_another_for_another_step(change):
    before, after = (program(**({"model": DENSE} | options)) for options in change)
    assert before.digest != after.digest
    assert " was " in difference(before, after) and ", is now " in difference(before, after)


def test_digest_is_the_same_for_what_does_not_change_the_step():
    first = program(net)
    assert program(renamed).digest == first.digest
    jax.clear_caches()
    assert program(net).digest == first.digest
    drawn = nn.Dense(1, 1, init_weight=glorot_normal, init_bias=nn.Dense(1, 1).init_bias)
    assert program(drawn).digest == program(DENSE).digest
    assert program(drawn).settings == program(DENSE).settings


def test_digest_is_the_same_in_every_process():
    # The seed of this process's hashes is another, or drawn.
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    command = [sys.executable, "-m", "tests.training.compilation.programs_run"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    here = digests()
    assert len({line.split()[1] for line in here}) == len(here)
    assert done.stdout.splitlines() == here


@pytest.mark.parametrize("name", PROGRAMS)
def test_lines_have_no_addresses_and_no_file_names(name):
    lines = made(name).lines
    assert len(lines) > 50
    assert not [line for line in lines if "0x" in line or ".py" in line]


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ({"optimizer": optax.adam(1e-2)}, {"optimizer": optax.nadam(1e-2)}, "`nesterov` of the op"),
        ({"optimizer": optax.adam(1e-2)}, {"optimizer": optax.adam(1e-3)}, "`step_size` of the op"),
        (
            {"model": nn.Dense(1, 1, nn.tanh)},
            {"model": nn.Dense(1, 1, nn.gelu)},
            "`model.activation` was tanh, is now gelu",
        ),
        ({"objective": losses.MSELoss()}, {"objective": losses.MAELoss()}, "`objective` was MSELo"),
    ],
)
def test_difference_names_the_setting(before, after, text):
    programs = [program(**({"model": DENSE} | options)) for options in (before, after)]
    assert text in difference(*programs)


def test_difference_shows_the_equation_where_no_setting_is_seen_to_differ():
    before, after = (program(nn.Dense(1, 1, f)) for f in (lambda x: 2 * x, lambda x: 3 * x))
    text = difference(before, after)
    assert text.startswith("line ") and "mul 2.0" in text and "mul 3.0" in text
    assert len(text) < 400


def test_record_of_a_damaged_file_gives_no_words_and_does_not_raise():
    whole = program(DENSE)
    for packed in (whole.packed[:-20], whole.packed[::-1], jnp.zeros(3, jnp.uint8)):
        broken = StepProgram("other", whole.versions, packed)
        assert broken.settings == {} and broken.lines == []
        assert difference(broken, whole)


def test_constants_appear_by_content():
    def lines(table):
        table = jnp.asarray(table, jnp.float32)
        return program_lines(jax.make_jaxpr(lambda x: x * table)(jnp.ones(20, jnp.float32)))

    assert lines(range(20)) == lines(range(20)) != lines(range(1, 21))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (frozenset({"b", "a"}), "{'a', 'b'}"),
        ({"b": 1, "a": (2.0, -0.0)}, "{'a': (2.0, -0.0), 'b': 1}"),
        (jnp.dtype("float32"), "float32"),
        (print, "function"),
        (object(), "object"),
        (jax.random.key(3), "[0, 3]"),
    ],
)
def test_words_do_not_hang_on_the_process(value, text):
    assert words(value) == text


def test_initialisers_are_no_settings_but_the_first_value_of_a_schedule_is():
    rate = training.schedules.exponential_decay(init_value=0.1, transition_steps=9, decay_rate=0.5)
    found = settings_of(model=nn.Dense(1, 1), optimizer=optax.sgd(rate))
    values = {path.rpartition(".")[2]: text for path, text in found.items()}
    assert values["init_value"] == "0.1" and "init_weight" not in values


def test_settings_are_read_once_and_end():
    def calls_itself(n):
        return calls_itself(n - 1) if n else settings

    settings = {"self": calls_itself, "rate": 0.5}
    settings["settings"] = settings
    found = settings_of(objective=calls_itself)
    assert [text for path, text in found.items() if path.endswith("'rate'")] == ["0.5"]
