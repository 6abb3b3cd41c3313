import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import devices, io, training
from tests.conftest import needs_x32, needs_x64
from tests.devices import distributed_run
from tests.training.models import AD, line_data, tiny_state

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "devices" / "distributed_run.py"
LAUNCH = [sys.executable, "-m", "sciml_lux.devices", "--processes"]


def environment(**more):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu"} | more


def set_local_devices(monkeypatch, number):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={number}"
    monkeypatch.setenv("XLA_FLAGS", flags)


def run(command):
    done = subprocess.run(
        list(map(str, command)),
        env=environment(),
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-4000:]
    return done


@pytest.fixture(scope="module")
def one_device():
    return distributed_run.on_one_device()


def assert_one_device_result(folder, one_device):
    found = np.load(folder / "result.npz")
    assert set(found) == set(one_device)
    for name, expected in one_device.items():
        assert found[name].dtype == expected.dtype, name
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-12, err_msg=name)


@needs_x64
def test_four_devices_give_the_result_of_one(tmp_path, one_device, monkeypatch):
    set_local_devices(monkeypatch, 4)
    run([sys.executable, SCRIPT, tmp_path])
    assert_one_device_result(tmp_path, one_device)


@needs_x64
def test_two_processes_give_the_result_of_one_device(tmp_path, one_device):
    run([*LAUNCH, 2, SCRIPT, tmp_path])
    assert_one_device_result(tmp_path, one_device)


@needs_x64
@pytest.mark.slow
def test_two_processes_of_two_devices_give_the_result_of_one(tmp_path, one_device, monkeypatch):
    set_local_devices(monkeypatch, 2)
    run([*LAUNCH, 2, SCRIPT, tmp_path])
    assert_one_device_result(tmp_path, one_device)


@needs_x64
def test_one_share_alone_does_not_give_that_result(one_device):
    # A share twice over has the mean and the statistics of the share.
    twice = distributed_run.on_one_device(lambda leaf: np.concatenate([leaf[:8], leaf[:8]]))
    assert abs(twice["losses"] - one_device["losses"]).max() > 1e-3


@needs_x64
@pytest.mark.slow
def test_a_killed_process_leaves_a_checkpoint_from_which_both_go_on_to_the_same_bits(tmp_path):
    done = subprocess.run(
        [*LAUNCH, "2", str(SCRIPT), str(tmp_path), "stop"],
        env=environment(),
        capture_output=True,
        timeout=300,
        check=False,
    )
    # Which end is seen first, the killed one or that of the other which lost it, is chance.
    assert done.returncode in {1, 128 + signal.SIGKILL, 128 + signal.SIGABRT}, done.stderr
    checkpoint = io.load_checkpoint(tmp_path / "run.ckpt")
    state = checkpoint.restore(distributed_run.start(0), "tstate")
    assert int(state.step) == len(checkpoint.metadata["losses"]) >= 50
    assert all(np.isfinite(checkpoint.metadata["losses"]))
    assert list(tmp_path.glob("*.tmp*")) == []
    run([*LAUNCH, 2, SCRIPT, tmp_path, "go_on"])


def test_synchronize_keeps_bits_keys_and_what_is_no_array(dtype):
    tree = lux.Record(
        zero=jnp.asarray([-0.0, jnp.nan], dtype),
        half=jnp.ones(3, jnp.bfloat16),
        flag=np.bool_(True),
        empty=jnp.zeros((0, 2), dtype),
        rng=jax.random.key(3),
        old=jax.random.PRNGKey(3),
        training=lux.Static(True),
        nothing=None,
        name="a",
    )
    moved = devices.synchronize(tree)
    assert jax.tree.structure(moved) == jax.tree.structure(tree) and moved.name == "a"
    for name in ("zero", "half", "flag", "empty", "old"):
        left, right = np.asarray(tree[name]), np.asarray(moved[name])
        assert left.dtype == right.dtype and left.tobytes() == right.tobytes()
        assert isinstance(moved[name], jax.Array)
    assert moved.rng.dtype == tree.rng.dtype
    assert jax.random.uniform(moved.rng) == jax.random.uniform(tree.rng)


def test_synchronized_state_trains_as_before(dtype):
    tstate, data = tiny_state(dtype), line_data(dtype)
    step = lambda ts, data: training.single_train_step(AD, lux.losses.MSELoss(), data, ts)
    _, loss, _, plain = step(tstate, data)
    _, same, _, moved = step(devices.synchronize(tstate), devices.DistributedData(data).arrays)
    assert loss == same
    assert np.array_equal(plain.parameters.layer_1.weight, moved.parameters.layer_1.weight)


def test_data_are_read_by_rows(dtype):
    x = np.arange(12, dtype=dtype).reshape(6, 2)
    data = devices.DistributedData({"x": x, "y": jnp.arange(6, dtype=jnp.int32)})
    assert len(data) == 6 and data.rows.tolist() == list(range(6))
    assert np.array_equal(data.arrays["x"], x) and data.arrays["x"].dtype == dtype
    assert data[[5, 0]]["x"].tolist() == [[10, 11], [0, 1]]
    assert data[np.asarray([[1], [3]])]["y"].tolist() == [[1], [3]]


def test_rows_that_are_none_are_refused():
    data = devices.DistributedData(np.zeros((6, 2), np.float32))
    with pytest.raises(IndexError, match="has rows 0 to 5, got -1 to 3"):
        data[[-1, 3]]
    with pytest.raises(IndexError, match=r"of shape \(batch,\) or \(steps, batch\), got bool\[6\]"):
        data[np.ones(6, bool)]


@pytest.mark.parametrize("make", [devices.DistributedData, devices.shard_batch])
def test_data_without_equal_rows_are_refused(make):
    with pytest.raises(ValueError, match=r"as many rows each, along axis 0, got {'`x`': 4, '`y`':"):
        make({"x": np.zeros((4, 1), np.float32), "y": np.zeros(5, np.float32)})
    with pytest.raises(ValueError, match=r"rows along axis 0, got float32\[\] at `x`. What has no"):
        make({"x": np.float32(1)})


def test_shard_batch_divides_another_axis(dtype):
    batches = devices.shard_batch(np.zeros((3, 4, 2), dtype), axis=1)
    assert batches.shape == (3, 4, 2)
    assert batches.sharding.spec == jax.sharding.PartitionSpec(None, "data")
    with pytest.raises(ValueError, match="rows along axis 1"):
        devices.shard_batch(np.zeros(3, dtype), axis=1)


def test_a_mesh_of_two_axes_is_refused():
    mesh = jax.sharding.Mesh(np.asarray(jax.devices()[:1]).reshape(1, 1), ("a", "b"))
    with pytest.raises(ValueError, match=r"a mesh of one axis, got the axes \('a', 'b'\)"):
        devices.shard_batch(np.zeros(2, np.float32), mesh)


def test_resumed_fit_goes_on_where_it_was_placed(tmp_path, dtype):
    tstate, data = devices.synchronize(tiny_state(dtype)), line_data(dtype)
    options = {"checkpoint": tmp_path, "progress": False}
    training.fit(tstate, lux.losses.MSELoss(), data, steps=2, **options)
    end = training.fit(tstate, lux.losses.MSELoss(), data, steps=2, resume=True, **options)
    leaf = end.tstate.parameters.layer_1.weight
    assert leaf.committed and leaf.sharding == tstate.parameters.layer_1.weight.sharding


DIVISION = """
import jax, numpy as np
from sciml_lux import cpu_device, devices, get_device, io, training
from sciml_lux.core import Record

def text(call):
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

x = np.arange(10, dtype=np.float32)
print(text(lambda: devices.DistributedData(x)))
print(text(lambda: devices.DistributedData(x[:8])[[0, 1, 2]]))
print(text(lambda: devices.shard_batch(x)))
half = devices.data_mesh(jax.devices()[:2])
data = devices.DistributedData(x, half)
print([shard.data.tolist() for shard in data.arrays.addressable_shards])
print([shard.data.tolist() for shard in data[[9, 1]].addressable_shards])
third, first = cpu_device(2), cpu_device()
tree = Record(a=x, b=Record(c=x, d=None))
moved = third(tree)
print(moved.a.devices(), get_device(moved))
print(text(lambda: get_device(Record(a=moved.a, b=first(tree).b))))
print(text(lambda: get_device(data.arrays)))
print(get_device(first(data.arrays)), first(data.arrays).tolist() == x.tolist())
print(text(lambda: cpu_device(4)))
"""


def test_division_and_places_on_four_devices(monkeypatch):
    set_local_devices(monkeypatch, 4)
    lines = run([sys.executable, "-c", DIVISION]).stdout.decode().splitlines()
    assert lines == [
        "ValueError: `DistributedData` expects a number of rows that 4 devices divide, got 10. "
        "Take 8 of them, or a mesh of other devices.",
        "ValueError: `DistributedData` expects a number of rows that 4 devices divide, got 3. "
        "Take 0 of them, or a mesh of other devices.",
        "ValueError: `shard_batch` expects a number of rows that 4 devices of this process divide, "
        "got 10. Take 8 of them, or a mesh of other devices.",
        "[[0.0, 1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0, 9.0]]",
        "[[9.0], [1.0]]",
        "{CpuDevice(id=2)} Device('cpu', 2)",
        "ValueError: `get_device` expects all arrays on one device: `a` is on Device("
        "'cpu', 2), `b.c` on Device('cpu', 0). Move the tree: "
        "Device('cpu', 2)(tree).",
        "ValueError: `get_device` expects all arrays on one device, but the array is divided "
        "between 2. Look at its `sharding`.",
        "Device('cpu', 0) True",
        "ValueError: `Device` expects `index` to be one of the 4 of platform 'cpu', 0 to 3, got 4.",
    ]


@needs_x32
def test_narrowed_data_are_refused():
    with pytest.raises(TypeError, match="`DistributedData`: the array is float64, but jax_enable"):
        devices.DistributedData(np.zeros(4))
    with pytest.raises(TypeError, match=r"`a` is int64, but jax_enable_x64 is off"):
        devices.synchronize({"a": np.zeros(4, np.int64)})
