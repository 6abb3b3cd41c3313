"""Saving where the disk is full, the folder is not ours, or others save too."""

import contextlib
import errno
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import io
from sciml_lux.io._write_whole import write_whole

pytestmark = pytest.mark.any_precision
NOBODY = 65534


def weights(value, size=2):
    return {"w": jnp.full(size, value, jnp.float32)}


def load(path, size=2):
    return io.load_checkpoint(path).restore(weights(0, size), "ps")["w"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.ckpt"
    io.save_checkpoint(path, {}, ps=weights(1))
    return path


@contextlib.contextmanager
def small_disk(size):
    """Files cannot grow past `size` bytes: the write fails half-way, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def no_privileges():
    """Root may write anywhere."""
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)


def test_full_disk_leaves_the_old_file_and_nothing_else(file):
    with small_disk(4096), pytest.raises(OSError) as caught:
        io.save_checkpoint(file, {}, ps=weights(2, 100_000))
    assert caught.value.errno == errno.EFBIG
    assert os.listdir(file.parent) == ["run.ckpt"] and load(file).tolist() == [1, 1]


def test_folder_that_cannot_be_written_to_leaves_the_old_file():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.ckpt"
        io.save_checkpoint(path, {}, ps=weights(1))
        os.chmod(folder, 0o555)
        with no_privileges(), pytest.raises(PermissionError):
            io.save_checkpoint(path, {}, ps=weights(2))
        assert os.listdir(folder) == ["run.ckpt"] and load(path).tolist() == [1, 1]
        os.chmod(folder, 0o755)


def test_interrupt_while_writing_leaves_the_old_file(file):
    def chunks():
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(file, chunks())
    assert os.listdir(file.parent) == ["run.ckpt"] and load(file).tolist() == [1, 1]


def test_path_under_a_file_is_an_error(file):
    with pytest.raises(OSError):
        io.save_checkpoint(file / "below.ckpt", {}, ps=weights(2))


def test_many_threads_writing_one_file_leave_one_whole_file(file):
    size, failures = 50_000, []

    def save(value):
        try:
            for _ in range(5):
                io.save_checkpoint(file, {"value": value}, ps=weights(value, size))
                load(file, size)  # Whosever it is, it is whole.
        except Exception as error:
            failures.append(error)

    io.save_checkpoint(file, {}, ps=weights(9, size))
    threads = [threading.Thread(target=save, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and os.listdir(file.parent) == ["run.ckpt"]
    last = io.load_checkpoint(file)
    assert np.all(load(file, size) == last.metadata["value"])


def test_link_is_followed_and_stays(file):
    link = file.parent / "elsewhere" / "latest.ckpt"
    link.parent.mkdir()
    link.symlink_to(file)
    io.save_checkpoint(link, {}, ps=weights(2))
    assert link.is_symlink() and load(file).tolist() == load(link).tolist() == [2, 2]
    assert os.listdir(link.parent) == ["latest.ckpt"]


def test_link_to_a_folder_and_dangling_link_are_followed(file):
    folder, link = file.parent / "folder", file.parent / "dangling.ckpt"
    folder.symlink_to(file.parent / "real")
    link.symlink_to(file.parent / "new" / "made.ckpt")
    (file.parent / "real").mkdir()
    for path in (folder, link):
        io.save_checkpoint(path, {}, ps=weights(3))
        assert load(path).tolist() == [3, 3]
    assert (file.parent / "real" / "checkpoint.ckpt").is_file()
    assert (file.parent / "new" / "made.ckpt").is_file()


def test_saving_keeps_the_permissions_that_a_new_file_has(file):
    other = file.with_name("other")
    other.touch()
    assert file.stat().st_mode == other.stat().st_mode


def test_what_dead_processes_left_is_removed_and_nothing_else(file):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    host, process = socket.gethostname(), os.getpid()
    left = f"run.ckpt.tmp-{host}-{dead.pid}-1"
    kept = {
        "run.ckpt",
        f"run.ckpt.tmp-{host}-{process}-1",  # Another thread of ours is at work.
        f"run.ckpt.tmp-{host}-1-1",
        f"run.ckpt.tmp-{host}x-{dead.pid}-1",
        f"run.ckpt.tmp-{host}-notes",
        f"other.ckpt.tmp-{host}-{dead.pid}-1",
    }
    for name in {left} | kept - {"run.ckpt"}:
        file.with_name(name).touch()
    io.save_checkpoint(file, {}, ps=weights(2))
    assert set(os.listdir(file.parent)) == kept


def test_metadata_that_json_cannot_hold_is_an_error(file):
    loop = {}
    loop["loop"] = loop
    for metadata in ({"optimiser": object()}, loop):
        with pytest.raises(
            TypeError, match="`save_checkpoint` expects metadata that JSON can hold"
        ):
            io.save_checkpoint(file, metadata, ps=weights(2))
    assert load(file).tolist() == [1, 1]


def test_metadata_that_is_no_dict_is_an_error(file):
    with pytest.raises(TypeError, match="expects metadata to be a dict, got list. The order is"):
        io.save_checkpoint(file, ["note"], ps=weights(2))


def test_hyperparameters_come_back_from_the_header_to_every_digit(file):
    hyperparameters = {"width": 8, "learning_rate": 0.1 + 0.2, "activation": "tanh", "dims": [1, 2]}
    io.save_checkpoint(file, {"hyperparameters": hyperparameters}, ps=weights(2))
    assert io.load_checkpoint(file).metadata == {"hyperparameters": hyperparameters}


@pytest.mark.parametrize("leaf", [np.asarray([{}]), np.asarray(["text"])])
def test_array_of_no_numbers_is_refused(file, leaf):
    with pytest.raises(TypeError, match=r"expects arrays of numbers, got .*\[1\] at `ps.a`"):
        io.save_checkpoint(file, {}, ps={"a": leaf})


@pytest.mark.parametrize("name", ["bool", "int4", "uint16", "float8_e5m2", ">f4"])
def test_unusual_dtypes_come_back(file, name):
    array = np.asarray([0, 1, 1], name)
    io.save_checkpoint(file, {}, ps={"a": array})
    found = io.load_checkpoint(file).leaves["ps.a"]
    assert found.dtype == array.dtype.newbyteorder("=") and found.tolist() == array.tolist()
