import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import sciml_lux as lux
from sciml_lux import Device, cpu_device, get_device, gpu_device, nn, training
from tests.conftest import needs_x32


def test_moving_keeps_every_dtype_and_what_is_no_array(dtype):
    tree = lux.Record(
        weight=np.ones((2, 3), dtype),
        half=jnp.ones(2, jnp.bfloat16),
        count=np.int32(3),
        rng=jax.random.key(0),
        training=lux.Static(True),
        nothing=None,
        number=1.5,
        function=nn.tanh,
    )
    moved = cpu_device()(tree)
    assert jax.tree.structure(moved) == jax.tree.structure(tree)
    for name in ("weight", "half", "count", "rng"):
        assert isinstance(moved[name], jax.Array) and moved[name].dtype == tree[name].dtype
        assert moved[name].shape == tree[name].shape and moved[name].committed
    assert np.array_equal(moved.weight, tree.weight)
    assert (moved.number, moved.function, moved.training) == (1.5, nn.tanh, lux.Static(True))


def test_training_state_moves_whole(dtype):
    model = nn.Dense(2, 1)
    ps, st = lux.setup(jax.random.key(0), model, dtype=dtype)
    tstate = training.TrainState(model, ps, st, optax.adam(1e-2))
    moved = cpu_device()(tstate)
    assert moved.model is model and moved.optimizer is tstate.optimizer
    for left, right in zip(jax.tree.leaves(tstate), jax.tree.leaves(moved), strict=True):
        assert left.dtype == right.dtype and np.array_equal(left, right)
    assert get_device(moved) == cpu_device()


def test_devices_are_values():
    device = cpu_device()
    assert device == Device("cpu", 0) and hash(device) == hash(Device("cpu", 0))
    assert eval(repr(device)) == device == pickle.loads(pickle.dumps(device))
    assert device.jax_device == jax.local_devices(backend="cpu")[0]


def test_moving_inside_a_compiled_function(dtype):
    assert jax.jit(lambda x: cpu_device()(x) + 1)(jnp.ones(2, dtype)).tolist() == [2, 2]


@pytest.mark.parametrize("index", [-1, 99, True, 0.0, "0"])
def test_a_device_that_is_not_there_is_refused(index):
    with pytest.raises(ValueError, match=rf"`index` to be one of the \d+ of .*, got {index!r}"):
        cpu_device(index)


def test_a_platform_that_is_not_there_is_refused():
    with pytest.raises(RuntimeError, match="JAX has no platform 'abacus' here. It has 'cpu'"):
        Device("abacus", 0)


def test_without_a_gpu_the_cpu_takes_its_place(dtype):
    with pytest.warns(UserWarning, match="found no GPU that JAX can use; the CPU takes its place"):
        device = gpu_device(3)
    assert device == cpu_device()
    with pytest.raises(RuntimeError, match="found no GPU that JAX can use, and `force` is set"):
        gpu_device(force=True)


def test_gpus_count_from_zero(monkeypatch):
    monkeypatch.setattr(jax, "local_devices", lambda backend: [object(), object()])
    assert gpu_device(1) == Device("gpu", 1)
    with pytest.raises(ValueError, match="one of the 2 of platform 'gpu', 0 to 1, got 2"):
        gpu_device(2)


def test_get_device_of_trees():
    x = jnp.ones(2, jnp.float32)
    assert get_device((x, np.ones(3), 1.0, "a")) == cpu_device()
    assert get_device(()) is None and get_device([1.0, None]) is None


def test_get_device_says_that_a_traced_array_is_nowhere():
    with pytest.raises(TypeError, match=r"cannot say where `a` is inside a compiled function"):
        jax.jit(lambda x: get_device({"a": x}))(jnp.ones(2, jnp.float32))


def test_arrays_that_jax_has_not_are_refused():
    with pytest.raises(TypeError, match=r"`a` is of dtype <U1, which JAX does not have"):
        cpu_device()({"a": np.asarray(["x"])})


@needs_x32
@pytest.mark.parametrize("name", ["float64", "int64", "complex128"])
def test_arrays_that_jax_would_narrow_are_refused(name):
    with pytest.raises(TypeError, match=rf"`a` is {name}, but jax_enable_x64 is off"):
        cpu_device()({"a": np.ones(2, name)})
