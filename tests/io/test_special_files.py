"""What is not a regular file is neither read nor replaced, and what is replaced keeps its mode."""

import contextlib
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest

from sciml_lux import io, losses, training
from sciml_lux.io import _write_whole
from tests.training.models import line_data, tiny_state

pytestmark = pytest.mark.any_precision
TREE = {"w": jnp.ones(2, jnp.float32)}
WRITES = {
    "checkpoint": lambda path: io.save_checkpoint(path, {}, ps=TREE),
    "safetensors": lambda path: io.save_safetensors(path, TREE),
}
READS = {
    "checkpoint": io.load_checkpoint,
    "safetensors": lambda path: io.load_safetensors(path, TREE),
}


@contextlib.contextmanager
def special(kind, path):
    """Something at `path` that is not a regular file."""
    match kind:
        case "folder":
            path.mkdir()
        case "FIFO":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
    yield


@pytest.mark.parametrize("kind", ["folder", "FIFO", "device", "socket"])
@pytest.mark.parametrize("form", list(READS))
def test_special_file_is_refused_by_name_and_stays(tmp_path, monkeypatch, form, kind):
    monkeypatch.chdir(tmp_path)  # The path of a socket must be short.
    path = Path("x.ckpt")
    with special(kind, path):
        before = os.lstat(path)[:7]  # Without the times: looking a link up may touch one.
        for act in (READS[form], WRITES[form]):
            with pytest.raises(io.CheckpointError, match=f"x.ckpt is a {kind}, not a regular file"):
                act(path)
        assert os.lstat(path)[:7] == before and os.listdir() == ["x.ckpt"]


def test_device_is_taken_for_a_file_whatever_its_name():
    with pytest.raises(io.CheckpointError, match="/dev/null is a device, not a regular file"):
        io.load_checkpoint("/dev/null")


def test_fit_waits_for_no_fifo(tmp_path):
    os.mkfifo(tmp_path / "x.ckpt")
    with pytest.raises(io.CheckpointError, match="x.ckpt is a FIFO, not a regular file"):
        training.fit(
            tiny_state("float32"),
            losses.MSELoss(),
            line_data("float32"),
            steps=1,
            progress=False,
            checkpoint=tmp_path / "x.ckpt",
        )


def test_log_waits_for_no_fifo(tmp_path):
    os.mkfifo(tmp_path / "losses.csv")
    log = training.CSVLog(tmp_path / "losses.csv")
    with pytest.raises(FileExistsError, match="log of losses and would be overwritten"):
        log.on_start(None)


def test_whole_write_refuses_what_is_not_a_file_itself(tmp_path):
    os.mkfifo(tmp_path / "x")
    with pytest.raises(FileExistsError, match="is not a regular file and would be lost"):
        _write_whole.write_whole(tmp_path / "x", [b"new"])
    assert stat.S_ISFIFO(os.stat(tmp_path / "x").st_mode)


@pytest.mark.parametrize(
    ("form", "text"),
    [("checkpoint", "is not a checkpoint and wou"), ("safetensors", "is not a safetensors file")],
)
@pytest.mark.parametrize("data", [b"my notes", b"\xff" * 8 + b"{}", b"x"])
def test_saving_refuses_to_replace_another_file(tmp_path, form, text, data):
    path = tmp_path / "notes.ckpt"
    path.write_bytes(data)
    with pytest.raises(io.CheckpointError, match=f"notes.ckpt {text}.*Give another path"):
        WRITES[form](path)
    assert path.read_bytes() == data and os.listdir(tmp_path) == ["notes.ckpt"]


@pytest.mark.parametrize("form", list(READS))
def test_saving_replaces_its_own_and_empty_files_and_keeps_their_mode(tmp_path, form):
    path = tmp_path / "x.ckpt"
    path.touch()
    for mode in (0o600, 0o664, 0o640):
        os.chmod(path, mode)
        WRITES[form](path)
        assert stat.S_IMODE(os.stat(path).st_mode) == mode
        READS[form](path)


def test_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    script = (
        "import os, sys; os.umask(0o027)\n"
        "from sciml_lux.io._write_whole import write_whole\n"
        "write_whole(sys.argv[1], [b'new'])"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "x"], check=True, timeout=120)
    assert stat.S_IMODE(os.stat(tmp_path / "x").st_mode) == 0o640


@pytest.mark.parametrize("plant", ["symlink_to", "hardlink_to", "touch"])
def test_planted_temporary_file_is_not_written_to(tmp_path, monkeypatch, plant):
    other, path = tmp_path / "other", tmp_path / "x"
    other.write_bytes(b"precious")
    path.write_bytes(b"old")
    monkeypatch.setattr("secrets.token_hex", lambda size: "guessed")
    planted = path.with_name(f"{_write_whole._prefix(path)}{os.getpid()}-guessed")
    getattr(planted, plant)(*[] if plant == "touch" else [other])
    with pytest.raises(FileExistsError):
        _write_whole.write_whole(path, [b"new"])
    assert other.read_bytes() == b"precious" and path.read_bytes() == b"old"
    assert planted.exists()  # It is not ours to remove.


def test_names_of_temporary_files_cannot_be_guessed(tmp_path):
    seen = []

    def chunks():
        seen.extend(name for name in os.listdir(tmp_path) if ".tmp-" in name)
        yield b"new"

    for _ in range(2):
        _write_whole.write_whole(tmp_path / "x", chunks())
    assert len(set(seen)) == 2
    assert [len(name.rsplit("-", 1)[1]) for name in seen] == [16, 16]
