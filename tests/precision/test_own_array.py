"""What the library keeps of NumPy arrays is a copy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import nn, precision, training
from sciml_lux.training.data._source_of import source_of
from tests.memory import aligned

ROWS = 16


def _train_state(array):
    model = nn.Scale(ROWS, use_bias=False)
    return training.TrainState(model, lux.Record(weight=array), lux.Record(), optax.sgd(0.1))


def _norm_state():
    model = nn.BatchNorm(ROWS)
    return training.TrainState(model, *lux.setup(0, model), optax.sgd(0.1))


def _flat():
    return lux.ComponentArray({"weight": jnp.zeros(ROWS, jnp.float32)})


def _function_state(array):
    model = nn.compact(lambda m, x: x * m.w, w=nn.init_fn(lambda key, dtype: array))
    return lux.setup(0, model, dtype=jnp.float32)[0]


KEEPS = {
    "own_array": precision.internal.own_array,
    "own_array with a dtype": lambda array: precision.internal.own_array(array, jnp.float32),
    "f32": precision.f32,
    "TrainState": _train_state,
    "TrainState.replace": lambda array: _train_state(jnp.zeros(ROWS, jnp.float32)).replace(
        parameters=lux.Record(weight=array)
    ),
    "TrainState.with_states": lambda array: _norm_state().with_states(
        _norm_state().states | {"running_mean": array}
    ),
    "ComponentArray": lambda array: lux.ComponentArray({"weight": array}),
    "ComponentArray.replace": lambda array: _flat().replace(array),
    "Device": lux.cpu_device(),
    "shard_batch": training.shard_batch,
    "DistributedData.arrays": lambda array: training.DistributedData(array).arrays,
    "DistributedData of rows": lambda array: training.DistributedData(array)[np.arange(ROWS)],
    "synchronize": training.synchronize,
    "Batches": lambda array: training.Batches(array, 4)._arrays[0],
    "data of fit": lambda array: source_of(array).feed(0).arrays,
    "init_fn": _function_state,
    "compact": lambda array: lux.setup(0, nn.compact(lambda m, x: x * m.w, w=array))[0],
}


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS.keys())
def test_what_is_written_to_numpy_memory_later_is_not_seen(keep):
    # Several tries, since where an array of NumPy lies is a matter of chance for a copy too.
    for _ in range(5):
        memory = aligned(np.ones(ROWS, np.float32))
        kept = keep(memory)
        memory[:] = 2.0
        seen = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(kept)])
        assert 2.0 not in seen and 1.0 in seen


def test_hyperparameter_is_kept_as_it_was():
    optimizer = optax.inject_hyperparams(optax.sgd)(learning_rate=0.5)
    tstate = _train_state(jnp.zeros(ROWS, jnp.float32)).with_optimizer(optimizer)
    memory = aligned(np.full((), 0.25, np.float32))
    tstate = training.adjust(tstate, learning_rate=memory)
    memory[...] = 2.0
    assert tstate.optimizer_state.hyperparams["learning_rate"].item() == 0.25


def test_jax_arrays_are_kept_as_they_are():
    array = jnp.ones(3, jnp.float32)
    assert precision.internal.own_array(array) is array
    assert precision.internal.own_array(array, jnp.float32) is array
    assert (
        _train_state(jnp.ones(ROWS, jnp.float32))
        .replace(parameters=lux.Record(weight=array))
        .parameters.weight
        is array
    )


def test_what_f32_leaves_alone_is_the_same_object():
    indices = np.arange(3)
    assert precision.f32({"indices": indices})["indices"] is indices
