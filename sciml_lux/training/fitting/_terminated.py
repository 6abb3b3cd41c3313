"""SIGTERM, by which a machine asks a process to end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def exit_on_termination() -> Iterator[None]:
    """Within the context SIGTERM raises `SystemExit`, so that what is open is closed and saved.

    A handler of the user's stays in place. Outside the main thread, where Python receives no
    signals, nothing is changed. With several processes SIGTERM ends each at once, since a process
    that waits for one that has ended would wait for ever.
    """
    in_main = threading.current_thread() is threading.main_thread()
    free = in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not free or jax.process_count() > 1:
        yield
        return
    signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)  # A second one does not wait for the files.
    raise SystemExit(128 + number)
