"""The launcher: its processes end with it, and it says which ended first."""

import os
import signal
import socket
import subprocess
import sys
import time

import jax
import pytest

from sciml_lux import devices
from sciml_lux.devices._launch import _reserved_port, launch
from tests.devices.test_distributed import LAUNCH, environment

pytestmark = pytest.mark.any_precision


def test_launch_returns_the_first_failure_and_ends_the_others(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("sciml_lux.devices._launch._GRACE_SECONDS", 0.2)
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, time\n"
        "if os.environ['SCIML_LUX_PROCESS'] == sys.argv[1]:\n"
        "    sys.exit(7)\n"
        "time.sleep(int(sys.argv[2]))\n"
    )
    begin = time.monotonic()
    assert launch(["--processes", "2", str(script), "1", "300"]) == 7
    assert time.monotonic() - begin < 100
    text = "process 1 of 2 ended with exit code 7; the others are ended.\n"
    assert capfd.readouterr().err == text
    assert launch(["--processes", "2", str(script), "5", "0"]) == 0
    assert capfd.readouterr().err == ""


def test_launch_refuses_no_processes(capsys):
    with pytest.raises(SystemExit):
        launch(["--processes", "0", "script.py"])
    assert "argument --processes: expected 1 or more, got 0" in capsys.readouterr().err


def test_initialize_does_nothing_alone_and_says_when_it_is_too_late(monkeypatch):
    devices.initialize_distributed()
    assert jax.process_count() == 1
    monkeypatch.setenv("SCIML_LUX_COORDINATOR", "127.0.0.1:0")
    monkeypatch.setenv("SCIML_LUX_PROCESSES", "2")
    monkeypatch.setenv("SCIML_LUX_PROCESS", "0")
    with pytest.raises(RuntimeError, match="must come before anything that makes an array"):
        devices.initialize_distributed()


def test_launch_says_which_process_was_killed(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("sciml_lux.devices._launch._GRACE_SECONDS", 0.2)
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, time\n"
        "if os.environ['SCIML_LUX_PROCESS'] == '0':\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "time.sleep(300)\n"
    )
    assert launch(["--processes", "2", str(script)]) == 128 + signal.SIGKILL
    assert capfd.readouterr().err == "process 0 of 2 was ended by SIGKILL; the others are ended.\n"


WAITING = """
import os, signal, sys, time
folder, index = sys.argv[1], os.environ["SCIML_LUX_PROCESS"]
def save(*_):
    open(os.path.join(folder, "saved" + index), "w").close()
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
with open(os.path.join(folder, "part" + index), "w") as file:
    file.write(str(os.getpid()))
os.rename(file.name, os.path.join(folder, "started" + index))
time.sleep(300)
"""


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_processes_end_with_the_launcher_and_have_time_to_save(tmp_path, number):
    script = tmp_path / "script.py"
    script.write_text(WAITING)
    before = signal.signal(number, signal.SIG_DFL)  # Under `nohup` it would be ignored.
    launcher = subprocess.Popen([*LAUNCH, "2", script, tmp_path], env=environment())
    signal.signal(number, before)
    started = [tmp_path / "started0", tmp_path / "started1"]
    deadline = time.monotonic() + 120
    while not all(file.exists() for file in started) and time.monotonic() < deadline:
        time.sleep(0.05)
    processes = [int(file.read_text()) for file in started]
    launcher.send_signal(number)
    assert launcher.wait(60) == 128 + number
    assert not any(map(is_running, processes))
    assert (tmp_path / "saved0").exists() and (tmp_path / "saved1").exists()


def test_port_of_a_launch_is_given_to_nobody_else():
    with _reserved_port() as port, socket.socket() as other, pytest.raises(OSError):
        other.bind(("127.0.0.1", port))


def test_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        script = "from sciml_lux import devices; devices.initialize_distributed()"
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=environment(
                SCIML_LUX_COORDINATOR=address, SCIML_LUX_PROCESSES="1", SCIML_LUX_PROCESS="0"
            ),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert f"`initialize_distributed` cannot listen at {address}: the port is taken" in done.stderr
