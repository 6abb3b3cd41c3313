"""Only regular files are read and replaced: a FIFO waits for ever, a device may have no end."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ._checkpoint_error import CheckpointError

_KINDS = {
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; a link is followed.

    Raises:
        CheckpointError: it is something else, which is not opened.
        FileNotFoundError: there is no file.
    """
    _require_regular(path, os.stat(path).st_mode)
    # In case it has become a FIFO since: do not wait for it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    file = os.fdopen(os.open(path, flags), "rb")
    try:
        _require_regular(path, os.fstat(file.fileno()).st_mode)
    except CheckpointError:
        file.close()
        raise
    return file


def require_replaceable(path: Path, is_ours: Callable[[BinaryIO], bool], kind: str) -> None:
    """Raise if writing to `path` would overwrite something else than an empty file or one of ours.

    Args:
        path: to be written to.
        is_ours: whether an open file is of the kind that will be written.
        kind: what messages call that kind.

    Raises:
        CheckpointError: a file of another kind is there, or something that is not a regular file.
    """
    if not path.exists():
        return
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size and not is_ours(file):
            raise CheckpointError(
                f"{path} is not a {kind} and would be overwritten. Give another path."
            )


def _require_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "special file")
        raise CheckpointError(f"{path} is a {kind}, not a regular file. Give a path to a file.")
