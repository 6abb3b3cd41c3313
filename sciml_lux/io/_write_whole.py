"""Files that are replaced whole or not at all."""

import os
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def write_whole(path: Path, chunks: Iterable[Any]) -> None:
    """Write `chunks` of bytes to a file, so that whatever happens it is the old or the new one.

    It is written under another name, synced and renamed. The name holds host, process and thread:
    several may write one file at once, and the last to finish wins. A link is followed. What a
    killed process left behind is removed.

    Raises:
        OSError: disk full, no permission; the old file is as it was.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    temporary = path.with_name(f"{_prefix(path)}{os.getpid()}-{threading.get_ident()}")
    try:
        with open(temporary, "wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # The rename itself must survive a power cut.
    finally:
        os.close(folder)


def _prefix(path: Path) -> str:
    return f"{path.name}.tmp-{socket.gethostname()}-"


def _remove_left_over(path: Path) -> None:
    """Remove the temporary files of this host's dead processes: jobs are killed again and again."""
    if os.name != "posix":
        return  # Elsewhere one cannot ask for a process without ending it.
    for name in os.listdir(path.parent):
        if name.startswith(_prefix(path)):
            process = name.removeprefix(_prefix(path)).split("-")[0]
            if process.isdecimal() and not _is_running(int(process)):
                path.with_name(name).unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # Signal 0 asks and does nothing.
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # It runs and is somebody else's.
    return True
