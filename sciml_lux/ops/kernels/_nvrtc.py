"""NVIDIA's compiler of CUDA C++ at run time, called through its C interface."""

import ctypes
import functools
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ._unavailable import Unavailable

_WHEELS = "nvidia/*/lib"
_VERSIONS = (13, 12)
_OPTIONS = ("--std=c++17",)
_PTX_VERSION = (8, 0)
"""Drivers from CUDA 12.0 on read it; newer compilers write versions that theirs are too old for."""


@functools.lru_cache(maxsize=256)
def compiled(text: str, architecture: int) -> str:
    """The PTX of a text in CUDA C++.

    Args:
        text: what to compile.
        architecture: the compute capability, such as 75 for 7.5, and later ones, that can load it.

    Raises:
        Unavailable: there is no NVRTC, or it finds an error; with what it says.
    """
    nvrtc, program = library(), ctypes.c_void_p()
    options = [
        option.encode() for option in (f"--gpu-architecture=compute_{architecture}", *_OPTIONS)
    ]
    created = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None
    )
    _check(nvrtc, created)
    try:
        array = (ctypes.c_char_p * len(options))(*options)
        if nvrtc.nvrtcCompileProgram(program, len(options), array):
            raise Unavailable(f"NVRTC does not compile it:\n{_text(nvrtc, program, 'ProgramLog')}")
        return readable(_text(nvrtc, program, "PTX"))
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def readable(ptx: str) -> str:
    """`ptx` with a version that all drivers of CUDA 12 and later read, if it has a later one."""
    found = re.search(r"^\.version (\d+)\.(\d+)", ptx, re.MULTILINE)
    if found is None or (int(found[1]), int(found[2])) <= _PTX_VERSION:
        return ptx
    return re.sub(
        r"^\.version .*$", ".version {}.{}".format(*_PTX_VERSION), ptx, count=1, flags=re.M
    )


def architectures() -> list[int]:
    """The compute capabilities that NVRTC compiles for.

    Raises:
        Unavailable: there is no NVRTC.
    """
    nvrtc, count = library(), ctypes.c_int()
    _check(nvrtc, nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    found = (ctypes.c_int * count.value)()
    _check(nvrtc, nvrtc.nvrtcGetSupportedArchs(found))
    return sorted(found)


@functools.cache
def library() -> ctypes.CDLL:
    """NVRTC, of NVIDIA's Python packages or else where the system finds libraries.

    Raises:
        Unavailable: it is not there.
    """
    folders = [folder for path in sys.path for folder in sorted(Path(path).glob(_WHEELS))]
    for version in _VERSIONS:
        for folder in folders:
            if (path := folder / f"libnvrtc.so.{version}").exists():
                for builtins in folder.glob(f"libnvrtc-builtins.so.{version}*"):
                    ctypes.CDLL(str(builtins), ctypes.RTLD_GLOBAL)
                return _declared(ctypes.CDLL(str(path)))
    for version in _VERSIONS:
        try:
            return _declared(ctypes.CDLL(f"libnvrtc.so.{version}"))
        except OSError:
            continue
    raise Unavailable(
        "NVRTC is not installed. `pip install nvidia-cuda-nvrtc` installs it, and so does "
        "`pip install jax[cuda13]`"
    )


def _declared(nvrtc: ctypes.CDLL) -> ctypes.CDLL:
    """The types of arguments: ctypes would cut pointers to 32 bits."""
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    types: dict[str, Sequence[type]] = {
        "nvrtcCreateProgram": (pointer, text, text, number, pointer, pointer),
        "nvrtcCompileProgram": (pointer, number, pointer),
        "nvrtcDestroyProgram": (pointer,),
        "nvrtcGetNumSupportedArchs": (pointer,),
        "nvrtcGetSupportedArchs": (pointer,),
        "nvrtcGetErrorString": (number,),
        **{
            f"nvrtcGet{name}{end}": (pointer, pointer)
            for name in ("PTX", "ProgramLog")
            for end in ("", "Size")
        },
    }
    for name, arguments in types.items():
        getattr(nvrtc, name).argtypes = arguments
    nvrtc.nvrtcGetErrorString.restype = text
    return nvrtc


def _text(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, name: str) -> str:
    size = ctypes.c_size_t()
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{name}Size")(program, ctypes.byref(size)))
    found = ctypes.create_string_buffer(size.value)
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{name}")(program, found))
    return found.value.decode(errors="replace")


def _check(nvrtc: ctypes.CDLL, code: int) -> None:
    if code:
        raise Unavailable(f"NVRTC fails: {nvrtc.nvrtcGetErrorString(code).decode()}")
