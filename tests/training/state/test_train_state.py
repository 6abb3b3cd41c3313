import copy

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from tests.conftest import needs_x32
from tests.training.models import AD, assert_same_bits, line_data, tiny_state


def test_train_state_holds_what_it_was_given(dtype):
    model = nn.Dense(2, 1)
    ps, st = lux.setup(0, model, dtype=dtype)
    optimizer = optax.sgd(0.1)
    tstate = training.TrainState(model, ps, st, optimizer)
    assert tstate.model is model and tstate.optimizer is optimizer
    assert_same_bits(tstate.parameters, ps)
    assert tstate.states is not None and int(tstate.step) == 0
    assert tstate.step.dtype == jnp.int32


def test_train_state_is_a_pytree_with_static_model_and_optimizer(dtype):
    tstate = tiny_state(dtype)
    doubled = jax.tree.map(lambda a: 2 * a, tstate)
    assert doubled.model == tstate.model and doubled.optimizer is tstate.optimizer
    np.testing.assert_array_equal(
        doubled.parameters.layer_1.weight, 2 * tstate.parameters.layer_1.weight
    )
    through_jit = jax.jit(lambda t: t)(tstate)
    assert_same_bits(through_jit, tstate)
    paths = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(tstate)]
    assert paths[0] == ".parameters['layer_1']['weight']" and paths[-1] == ".step"


def test_train_state_replaces_fields_and_nothing_else(dtype):
    tstate = tiny_state(dtype)
    moved = tstate.replace(parameters=jax.tree.map(jnp.zeros_like, tstate.parameters))
    assert not np.any(moved.parameters.layer_1.weight)
    assert moved.optimizer_state is tstate.optimizer_state
    text = r"`TrainState.replace` knows model, parameters, .*, got optimizer. For another optimiser"
    with pytest.raises(TypeError, match=text):
        tstate.replace(optimizer=optax.sgd(0.1))


def test_train_state_is_immutable(dtype):
    with pytest.raises(AttributeError, match=r"`TrainState` is immutable: cannot set `step`. Use"):
        tiny_state(dtype).step = 3


def test_train_state_follows_testmode():
    class Flagged(lux.Layer):
        def initial_states(self, key, dtype):
            return lux.Record(training=lux.Static(True))

        def __call__(self, x, ps, st):
            return x, st

    tstate = tiny_state(jnp.float32, model=nn.Chain(Flagged(), nn.Dense(1, 1)))
    assert not lux.testmode(tstate).states.layer_1.training


def test_train_state_prints_model_count_and_step(dtype):
    text = "TrainState(Chain(Dense(1, 4, tanh), Dense(4, 1)), 13 parameters, step 0)"
    assert repr(tiny_state(dtype)) == text


def test_train_state_parameters_of_another_model_name_the_first_path(dtype):
    model = nn.Chain(nn.Dense(1, 4), nn.Dense(4, 1))
    ps, st = lux.setup(0, nn.Chain(nn.Dense(1, 4), nn.Dense(4, 2)), dtype=dtype)
    text = r"not those of `Chain`, at `layer_2.weight`: expected shape \(1, 4\), got shape \(2, 4\)"
    with pytest.raises(lux.StateStructureError, match=text):
        training.TrainState(model, ps, st, optax.sgd(0.1))


def test_train_state_missing_parameter_names_the_path(dtype):
    model = nn.Chain(nn.Dense(1, 4), nn.Dense(4, 1))
    ps, st = lux.setup(0, model, dtype=dtype)
    ps = ps | {"layer_1": lux.Record(weight=ps.layer_1.weight)}
    with pytest.raises(lux.StateStructureError, match=r"at `layer_1.bias`: .*, got nothing"):
        training.TrainState(model, ps, st, optax.sgd(0.1))


def test_train_state_without_optimizer_says_what_to_pass(dtype):
    model = nn.Dense(1, 1)
    with pytest.raises(TypeError, match=r"expects an optax optimiser, got float. Pass for example"):
        training.TrainState(model, *lux.setup(0, model, dtype=dtype), 0.1)


@needs_x32
def test_train_state_of_float64_numpy_parameters_names_the_switch():
    ps = lux.Record(weight=np.ones((1, 1)), bias=np.ones(1))
    text = r"`parameters`\['weight'\], a NumPy array, is float64, but jax_enable_x64 is off"
    with pytest.raises(TypeError, match=text):
        training.TrainState(nn.Dense(1, 1), ps, lux.Record(), optax.sgd(0.1))


def test_replaced_fields_are_arrays_of_jax_in_their_dtype(dtype):
    tstate = tiny_state(dtype)
    numpy = jax.tree.map(np.asarray, tstate.parameters)
    moved = tstate.replace(parameters=numpy, step=7)
    assert_same_bits(moved.parameters, tstate.parameters)
    assert isinstance(moved.step, jax.Array) and moved.step.dtype == jnp.int32 and moved.step == 7
    assert jax.tree.structure(moved) == jax.tree.structure(tstate)


@needs_x32
def test_replaced_parameters_of_float64_name_the_switch():
    tstate = tiny_state(jnp.float32)
    wide = jax.tree.map(lambda a: np.asarray(a, np.float64), tstate.parameters)
    with pytest.raises(TypeError, match="`TrainState.replace`: `parameters`.*float64, but jax_en"):
        tstate.replace(parameters=wide)


def test_flat_parameters_of_another_model_are_refused(dtype):
    small = lux.ComponentArray(lux.setup(0, nn.Dense(2, 1), dtype=dtype)[0])
    assert training.TrainState(nn.Dense(2, 1), small, lux.Record(), optax.sgd(0.1))
    with pytest.raises(lux.core.StateStructureError, match="the parameters are not those of `De"):
        training.TrainState(nn.Dense(3, 1), small, lux.Record(), optax.sgd(0.1))


def test_deep_copy_outlives_a_step_that_takes_the_memory(dtype):
    tstate = tiny_state(dtype)
    before = jax.tree.map(np.array, tstate)
    kept = copy.deepcopy({"start": tstate})["start"]
    training.single_train_step(AD, losses.MSELoss(), line_data(dtype), tstate, donate=True)
    assert_same_bits(kept, before)
    assert kept.model is tstate.model and kept.optimizer is tstate.optimizer


def test_deep_copy_of_a_state_whose_memory_is_gone_says_so():
    tstate = tiny_state(jnp.float32)
    training.single_train_step(AD, losses.MSELoss(), line_data(jnp.float32), tstate, donate=True)
    with pytest.raises(training.DonatedStateError, match="`TrainState`: the array at .* was delet"):
        copy.deepcopy(tstate)
    assert copy.copy(tstate) is tstate


def test_dicts_become_records_in_the_models_order(dtype):
    model = nn.Chain(*[nn.Dense(1, 1)] * 11)
    ps, st = lux.setup(0, model, dtype)
    sorted_ps = jax.tree.map(lambda leaf: leaf, lux.as_dict(ps))
    tstate = training.TrainState(model, sorted_ps, lux.as_dict(st), optax.adam(1e-2))
    assert list(tstate.parameters) == list(ps) and list(tstate.states) == list(st)
    assert_same_bits(tstate.parameters, ps)
    assert_same_bits(tstate.replace(parameters=sorted_ps).parameters, ps)
    with pytest.raises(
        lux.StateStructureError, match="no entries but its own, got `layer_2.more` too"
    ):
        training.TrainState(
            model, ps | {"layer_2": ps.layer_2 | {"more": ps.layer_2.bias}}, st, optax.adam(1e-2)
        )
