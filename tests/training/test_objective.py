"""Objectives that are written anew: the same function, or another one."""

import dataclasses
import functools
import types
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import losses, nn, testing, training
from sciml_lux.training._objective import ObjectiveKey, objective_key, objective_of
from tests.training.models import AD, line_data, tiny_state

LOSS = losses.MSELoss()


@functools.cache
def start(dtype):
    return line_data(dtype), tiny_state(dtype)  # Each optimiser would be another one.


def step(objective, dtype):
    return float(training.single_train_step(AD, objective, *start(dtype))[1])


def test_lambda_written_in_a_loop_compiles_once(dtype):
    weight = jnp.asarray(2.0, dtype)

    def build():
        return lambda model, ps, st, data: (weight * LOSS(model, ps, st, data)[0], st, {})

    first = step(build(), dtype)
    with testing.assert_no_recompile():
        assert step(build(), dtype) == first
        assert build() is not build()


def test_lambda_over_another_value_is_another_objective(dtype):
    values = []
    for weight in (1.0, 3.0):
        values.append(
            step(lambda m, ps, st, d: (weight * LOSS(m, ps, st, d)[0], st, {}), dtype)  # noqa: B023
        )
    assert values[1] == pytest.approx(3 * values[0], rel=1e-6)


def test_changed_variable_is_noticed_though_the_cell_is_the_same(dtype):
    weight = jnp.asarray(1.0, dtype)
    objective = lambda m, ps, st, d: (weight * LOSS(m, ps, st, d)[0], st, {})
    first = step(objective, dtype)
    for factor in (2, 3):
        weight = jnp.asarray(float(factor), dtype)
        assert step(objective, dtype) == pytest.approx(factor * first, rel=1e-6)


def test_objective_built_over_many_values_warns_once_with_the_remedy(dtype):
    def build(weight):
        def scaled(model, ps, st, data):
            return weight * LOSS(model, ps, st, data)[0], st, {}

        return scaled

    for weight in (1.0, 2.0, 3.0):
        step(build(weight), dtype)
    text = r"`scaled` \(.*test_objective.py:\d+\) was built 4 times .* pass what changes as part"
    with pytest.warns(training.RecompilationWarning, match=text):
        step(build(4.0), dtype)
    step(build(5.0), dtype)  # Not again: a warning would be an error.


def scaled(factor, model, ps, st, data, shift=0.0):
    return factor * LOSS(model, ps, st, data)[0] + shift, st, {}


def test_partials_of_the_same_parts_are_the_same(dtype):
    two = 2.0
    build = lambda: functools.partial(scaled, two, shift=two)
    first = step(build(), dtype)
    with testing.assert_no_recompile():
        assert step(build(), dtype) == first
    assert objective_key(build()) == objective_key(build())
    assert objective_key(functools.partial(scaled, 3.0)) != objective_key(build())


WEIGHT: Any = 1.0


class Settings:
    weight = 1.0


def helper(value):
    return WEIGHT * value


def by_global():
    return lambda m, ps, st, d: (WEIGHT * LOSS(m, ps, st, d)[0], st, {})


def by_function_that_reads_it():
    return lambda m, ps, st, d: (helper(LOSS(m, ps, st, d)[0]), st, {})


def by_inner_function():
    def objective(m, ps, st, d):
        def inner():
            return WEIGHT * LOSS(m, ps, st, d)[0]

        return inner(), st, {}

    return objective


def by_class():
    return lambda m, ps, st, d: (Settings.weight * LOSS(m, ps, st, d)[0], st, {})


BOXES = {
    "dict": ({"weight": 1.0}, lambda box: box["weight"]),
    "array": (np.ones(1), lambda box: box[0].item()),
    "object": (types.SimpleNamespace(weight=1.0), lambda box: box.weight),
}


def fill(box, weight):
    if isinstance(box, dict):
        box["weight"] = weight
    elif isinstance(box, np.ndarray):
        box[:] = weight
    else:
        box.weight = weight


def set_weight(weight, monkeypatch):
    monkeypatch.setattr(Settings, "weight", weight)
    monkeypatch.setitem(globals(), "WEIGHT", weight)


@pytest.mark.parametrize(
    "build", [by_global, by_function_that_reads_it, by_inner_function, by_class]
)
def test_what_a_function_reads_by_name_is_part_of_it(build, dtype, monkeypatch):
    set_weight(2.0, monkeypatch)
    first, objective = step(build(), dtype), build()
    with testing.assert_no_recompile():
        assert step(build(), dtype) == step(objective, dtype) == first
    set_weight(6.0, monkeypatch)
    for changed in (build(), objective):
        assert step(changed, dtype) == pytest.approx(3 * first, rel=1e-6)


@pytest.mark.filterwarnings("ignore::sciml_lux.training.RecompilationWarning")
@pytest.mark.parametrize("name", BOXES)
def test_function_written_anew_over_what_may_change_is_another_one(name, dtype):
    box, read = BOXES[name]

    def build():
        return lambda m, ps, st, d: (read(box) * LOSS(m, ps, st, d)[0], st, {})

    fill(box, 1.0)
    first, objective = step(build(), dtype), build()
    assert step(objective, dtype) == first
    with testing.assert_no_recompile():
        step(objective, dtype)  # The same object is the same function.
    fill(box, 3.0)
    assert step(build(), dtype) == pytest.approx(3 * first, rel=1e-6)


def test_function_traced_again_for_other_data_has_the_values_of_its_own_call(dtype):
    (x, y), tstate = start(dtype)

    def losses_of(rows):
        found = []
        for weight in (1.0, 10.0):
            objective = lambda m, ps, st, d: (weight * LOSS(m, ps, st, d)[0], st, {})  # noqa: B023
            data = (x[:rows], y[:rows])
            found.append(float(training.single_train_step(AD, objective, data, tstate)[1]))
        return found

    for rows in (8, 4, 2):
        low, high = losses_of(rows)
        assert high == pytest.approx(10 * low, rel=1e-6)


def test_sampled_data_and_validation_follow_what_their_functions_read(dtype, monkeypatch):
    def validation():
        points = training.Sampled(lambda key: jnp.full((2, 1), WEIGHT, dtype), key=0)
        objective = lambda m, ps, st, x: (jnp.mean(x + 0 * m(x, ps, st)[0]), st, {})
        options = {"validation": points, "validation_every": 1, "progress": False}
        found = training.fit(start(dtype)[1], objective, points, steps=1, **options)
        return found.losses[0], found.validation.losses[-1]

    for weight in (1.0, 5.0):
        set_weight(weight, monkeypatch)
        assert validation() == (weight, weight)


def test_numbers_are_the_same_only_with_their_sign_and_type():
    def build(value):
        return lambda: value

    keys = [objective_key(build(value)) for value in (0.0, -0.0, 0, False, (1, 1.0), (1.0, 1))]
    assert len(set(keys)) == len(keys)
    assert objective_key(build(float("nan"))) == objective_key(build(float("nan")))


@dataclasses.dataclass  # Compares by value, so it has no hash.
class Unhashable:
    def __call__(self, model, ps, st, data):
        return LOSS(model, ps, st, data)


def test_what_is_no_objective_is_refused(dtype):
    data, tstate = start(dtype)
    with pytest.raises(TypeError, match="a Unhashable, must be hashable.*frozen dataclass"):
        training.single_train_step(AD, Unhashable(), data, tstate)
    for call in (
        lambda: training.fit(tstate, None, data, steps=1),
        lambda: training.train_steps(AD, data, LOSS, tstate, steps=1),
    ):
        with pytest.raises(TypeError, match="the objective must be a function .* The order is"):
            call()


def test_state_in_another_place_names_the_order(dtype):
    data, tstate = start(dtype)
    with pytest.raises(
        TypeError, match=r"`fit` expects a TrainState or a FitResult first, got MSE"
    ):
        training.fit(LOSS, tstate, data, steps=1)
    with pytest.raises(TypeError, match=r"got MSELoss. The order is \(tstate, objective, data, m"):
        training.minimise(LOSS, data, tstate)


def test_keys_hold_what_they_compare():
    key = objective_key(scaled)
    assert isinstance(key, ObjectiveKey) and objective_of(key) is scaled
    assert objective_key(LOSS) is LOSS and objective_of(LOSS) is LOSS
    assert objective_key(lambda x: x) != objective_key(lambda x: x)

    def build(default):
        def inner(x, y=default):
            return inner if x else y

        return inner

    assert objective_key(build(1)) != objective_key(build(1))  # Each closes over itself.
    assert key != LOSS


def test_one_function_of_many_models_is_no_recompilation(dtype):
    def objective(model, ps, st, data):
        return LOSS(model, ps, st, data)[0], st, {}

    data = line_data(dtype)
    for width in (1, 2, 3, 4, 5):  # A warning would be an error.
        model = nn.Chain(nn.Dense(1, width), nn.Dense(width, 1))
        training.compute_gradients(AD, objective, data, tiny_state(dtype, model=model))
