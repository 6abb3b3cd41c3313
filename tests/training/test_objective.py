"""Objectives that are written anew: the same function, or another one."""

import functools

import jax.numpy as jnp
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
