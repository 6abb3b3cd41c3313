"""Files that are replaced whole or not at all."""

import os
import secrets
import socket
import stat
from collections.abc import Iterable
from pathlib import Path

from ._types import Blob


def write_whole(path: Path, chunks: Iterable[Blob]) -> None:
    """Write `chunks` of bytes to a file, which is the old or the new one whatever happens.

    It is written under another name, synced and renamed. That name is random and new: several
    processes may write one file at once, and the last to finish wins. A link is followed. What a
    killed process left behind is removed. The new file has the permissions of the old one.

    Raises:
        FileExistsError: `path` is a folder, a device or the like.
        OSError: disk full, no permission; the old file is as it was.
    """
    path = Path(os.path.realpath(path))
    permissions = _permissions(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(path)
    temporary = path.with_name(f"{_prefix(path)}{os.getpid()}-{secrets.token_hex(8)}")
    descriptor = _create(temporary, permissions)
    try:
        with os.fdopen(descriptor, "wb") as file:
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


def _permissions(path: Path) -> int | None:
    """Those of the file that will be replaced, or None."""
    if not path.exists():
        return None
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise FileExistsError(f"{path} is not a regular file and would be lost. Give another path.")
    return stat.S_IMODE(mode) & 0o777


def _create(path: Path, permissions: int | None) -> int:
    """Make a file where there is nothing, not even a link, and open it for writing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666 if permissions is None else permissions)
    if permissions is not None and hasattr(os, "fchmod"):
        os.fchmod(descriptor, permissions)  # More than the umask allows, if the old file had it.
    return descriptor


def _prefix(path: Path) -> str:
    return f"{path.name}.tmp-{socket.gethostname()}-"


def _remove_left_over(path: Path) -> None:
    """Remove the temporary files of processes of this host that were killed."""
    if os.name != "posix":
        return  # Elsewhere asking for a process may end it.
    for name in os.listdir(path.parent):
        if name.startswith(_prefix(path)):
            process = name.removeprefix(_prefix(path)).split("-")[0]
            if process.isdecimal() and not _is_running(int(process)):
                path.with_name(name).unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # Signal 0 only asks.
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # It runs, for another user.
    return True
