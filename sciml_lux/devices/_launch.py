"""launch, initialize_distributed: a script in several processes of this machine."""

import argparse
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import jax

_ADDRESS = "SCIML_LUX_COORDINATOR"
_COUNT = "SCIML_LUX_PROCESSES"
_INDEX = "SCIML_LUX_PROCESS"
_GRACE_SECONDS = 10.0


def initialize_distributed() -> None:
    """Join the other processes of a launch; first line of a script that several processes run.

    `python -m sciml_lux.devices --processes 2 script.py` starts them. Run by plain Python, the
    script is alone and this does nothing, so the same script serves one process and many. On a
    cluster with a scheduler that JAX knows, `jax.distributed.initialize()` takes its place.

    Afterwards `jax.devices()` are those of all processes; `jax.process_index()` and
    `jax.process_count()` tell which this is, and of how many.

    Raises:
        RuntimeError: JAX has been used already, so that this process cannot join; or the port of
            the first process is taken.

    Source: `DistributedUtils.initialize` of Lux 1.31, on MPI or NCCL. Between CPUs JAX uses gloo,
        between GPUs NCCL.

    Example:
        >>> initialize_distributed()  # Run by plain Python, it does nothing.
        >>> jax.process_index(), jax.process_count()
        (0, 1)
    """
    if _ADDRESS not in os.environ or jax.distributed.is_initialized():
        return
    address = os.environ[_ADDRESS]
    if os.environ[_INDEX] == "0":
        _require_free(address)
    try:
        jax.distributed.initialize(
            address,
            int(os.environ[_COUNT]),
            int(os.environ[_INDEX]),
            # One process, one GPU: two on the same one cannot talk.
            local_device_ids=int(os.environ[_INDEX]),
            cluster_detection_method="deactivate",
            # JAX would listen on all addresses of the machine.
            coordinator_bind_address=address,
        )
    except RuntimeError as error:
        if "before" not in str(error):
            raise
        raise RuntimeError(
            "`initialize_distributed` must come before anything that makes an array or asks for "
            "devices. Make it the first line after the imports."
        ) from None


def launch(arguments: Sequence[str] | None = None) -> int:
    """Run a script in several processes, and return the first failure's exit code, or 0.

    When one fails or is killed, standard error says which. The others, which wait for it, are ended
    after ten seconds to save their work. A signal that ends this process ends them too.
    """
    parser = argparse.ArgumentParser(
        prog="python -m sciml_lux.devices",
        description="Run a script in several processes of this machine; it must call "
        "sciml_lux.devices.initialize_distributed() first.",
    )
    parser.add_argument("--processes", type=int, required=True, help="how many, one for each GPU")
    parser.add_argument("script", help="a Python file")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for the script")
    options = parser.parse_args(arguments)
    if options.processes < 1:
        parser.error(f"argument --processes: expected 1 or more, got {options.processes}")
    command = [sys.executable, options.script, *options.arguments]
    with _reserved_port() as port:
        return _run(command, {_ADDRESS: f"127.0.0.1:{port}"}, options.processes)


def _run(command: list[str], variables: dict[str, str], count: int) -> int:
    processes = []
    try:
        for index in range(count):
            own = {_COUNT: str(count), _INDEX: str(index)}
            processes.append(subprocess.Popen(command, env=os.environ | variables | own))
        return _wait(processes)
    except KeyboardInterrupt:  # The terminal sends it to the processes, too.
        _leave_time(processes)
        return 130
    except SystemExit:  # By a signal, which only this process has received.
        for process in processes:
            process.terminate()
        _leave_time(processes)
        raise
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _wait(processes: list[subprocess.Popen]) -> int:
    while True:
        codes = [process.poll() for process in processes]
        failed = [(index, code) for index, code in enumerate(codes) if code]
        if failed:
            for index, code in failed:
                print(f"process {index} of {len(codes)} {_end(code)}", file=sys.stderr, flush=True)
            _leave_time(processes)
            code = failed[0][1]
            return code if code > 0 else 128 - code  # As a shell reports a signal.
        if None not in codes:
            return 0
        time.sleep(0.05)


def _end(code: int) -> str:
    if code > 0:
        return f"ended with exit code {code}; the others are ended."
    names = {number.value: number.name for number in signal.Signals}
    return f"was ended by {names.get(-code, f'signal {-code}')}; the others are ended."


def _leave_time(processes: list[subprocess.Popen]) -> None:
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and None in [process.poll() for process in processes]:
        time.sleep(0.05)


@contextmanager
def _reserved_port(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """A port that no other program is given meanwhile; JAX, which shares it, can listen there."""
    with socket.socket() as server:
        shares = hasattr(socket, "SO_REUSEPORT")
        if shares:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind((host, port))
        port = server.getsockname()[1]
        if not shares:
            server.close()
        yield port


def _require_free(address: str) -> None:
    # JAX's own failure is a line of its log at best, and another one in each version.
    host, _, port = address.rpartition(":")
    try:
        with _reserved_port(host, int(port)):
            pass
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise RuntimeError(
            f"`initialize_distributed` cannot listen at {address}: the port is taken. Launch the "
            "processes again; the launcher takes a free one."
        ) from None
