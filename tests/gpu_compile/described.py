"""Compiling for a GPU that is described, and reading what it would launch."""

import functools
import re
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding, PartitionSpec

H100 = (Path(__file__).parent / "h100.txt").read_text()
THUNK = re.compile(r"^(?P<indent>\s*)\d+: (?P<kind>k\w+)\s*\[[^\]]*\]\s*(?P<name>\S*)")


class Launches(NamedTuple):
    """What a compiled program launches, as pairs of a kind and a name.

    Attributes:
        outside: of its loops.
        loops: of each, the condition and the body.
        buffers: what stands in command buffers.
        text: the program after optimisation.
    """

    outside: list
    loops: list
    buffers: list
    text: str


@functools.cache
def device():
    """An H100 that is not there."""
    described = topologies.get_topology_desc(platform="cuda", target_config=H100, topology="1x1x1")
    mesh = Mesh(np.array(described.devices), ("device",))
    return NamedSharding(mesh, PartitionSpec())


def launches(function, *types, folder, **options):
    """What `function` launches on it, for arrays of these types."""
    structs = [jax.ShapeDtypeStruct(t.shape, t.dtype, sharding=device()) for t in types]
    options |= {"xla_dump_to": str(folder), "xla_dump_hlo_as_text": True}
    compiled = jax.jit(function).lower(*structs).compile(compiler_options=options)
    [sequence] = folder.glob("*.thunk_sequence.txt")
    after = list(folder.glob("*.thunk_sequence_after_thunk_passes.txt"))
    outside, loops = parsed(sequence.read_text())
    buffers = in_buffers(after[0].read_text()) if after else []
    return Launches(outside, loops, buffers, compiled.as_text())


def parsed(text):
    """The thunks outside of loops, and of each loop the condition and the body."""
    outside, loops, section = [], [], None
    for line in text.splitlines():
        if line.strip() in ("condition:", "body:"):
            section = line.strip()[:-1]
            if section == "condition":
                loops.append({"condition": [], "body": []})
        elif match := THUNK.match(line):
            section = section if match["indent"] else None
            place = loops[-1][section] if section else outside
            place.append((match["kind"], match["name"]))
    return outside, loops


def in_buffers(text):
    """The thunks that are indented more than the command buffer before them."""
    found, depth = [], None
    for match in filter(None, map(THUNK.match, text.splitlines())):
        indent = len(match["indent"])
        if match["kind"] == "kCommandBuffer":
            depth = indent
        elif depth is not None and indent > depth:
            found.append((match["kind"], match["name"]))
        else:
            depth = None
    return found


def copied(found, size):
    """The shapes, of two axes or more of which one is `size`, that are copied or transposed."""
    shapes = re.findall(r"\[([\d,]+)\]\S* (?:copy|transpose)\(", found.text)
    return [shape for shape in shapes if "," in shape and str(size) in shape.split(",")]


def names(thunks, kind="kCustomKernel"):
    """The names of the thunks of a kind."""
    return [name for found, name in thunks if found == kind]
