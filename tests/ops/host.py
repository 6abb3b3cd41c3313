"""Texts for CUDA, compiled by g++ and run on this machine, one thread after the other."""

import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
HEADER = Path(__file__).with_name("host.h").read_text()
FLAGS = ("-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-w")


@functools.lru_cache(maxsize=64)
def library(text):
    """A shared library of C++."""
    with tempfile.TemporaryDirectory() as folder:
        code, built = Path(folder, "text.cc"), Path(folder, "text.so")
        code.write_text(HEADER + text)
        found = subprocess.run(
            ["g++", *FLAGS, "-o", built, code], capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr[:4000]
        return ctypes.CDLL(str(built))


def pointers(arrays):
    """The addresses of arrays."""
    return [ctypes.c_void_p(array.ctypes.data) for array in arrays]


def poisoned(shape, dtype):
    """An array of what no reader may take for a result."""
    dtype = np.dtype(dtype)
    return np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).min, dtype)


class Kernels:
    """Kernels in one library.

    Args:
        sources: by name.
    """

    def __init__(self, sources):
        self.sources = dict(sources)

    @functools.cached_property
    def library(self):
        parts = [self._part(i, source) for i, source in enumerate(self.sources.values())]
        return library("\n".join(parts))

    def _part(self, number, source):
        """A kernel in a namespace of its own, and a function that runs all of its threads."""
        entry = f"{source.entry}_{number}"
        text = re.sub(rf"\b{source.entry}\b", entry, source.text)
        head = text[text.index('extern "C" __global__') :]
        head = head[head.index(entry) :]
        arguments = head[head.index("(") + 1 : head.index(")")].split(",")
        types = [" ".join(argument.split()[:-1]) for argument in arguments]
        casts = ", ".join(f"({kind})a[{i}]" for i, kind in enumerate(types))
        run = (
            f'extern "C" void run_{number}(int blocks, int threads, void** a) {{ '
            "blockDim.x = threads; for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) "
            "for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) "
            f"{entry}({casts}); }}"
        )
        return f"namespace n{number} {{\n{text}\n{run}\n}}"

    def __call__(self, name, number, operands, results):
        """What a kernel finds.

        Args:
            name: of the kernel.
            number: of members.
            operands: arrays, with the axis of members last where they have it.
            results: shape and dtype of each result of one member.
        """
        source, index = self.sources[name], list(self.sources).index(name)
        found = [poisoned((*shape, number), dtype) for shape, dtype in results]
        given = [np.ascontiguousarray(x) for x in (np.array([number], np.int32), *operands)]
        blocks = -(-number // source.block)
        run = getattr(self.library, f"run_{index}")
        addresses = pointers([*given, *found])
        run(blocks, source.block, (ctypes.c_void_p * len(addresses))(*addresses))
        return found
