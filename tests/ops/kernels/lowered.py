"""Reading the calls of kernels in a program that is lowered for CUDA, on any machine."""

import re

import jax

from sciml_lux.ops.kernels import _launch

CALL = re.compile(r"custom_call @__gpu\$xla\.gpu\.ptx\((?P<operands>[^)]*)\) \{(?P<rest>[^\n]*)")
NUMBER = re.compile(r"(\w+) = (-?\d+) : (\w+)")
STRING = re.compile(r'(\w+) = "((?:[^"\\]|\\.)*)"')


def stand_in(text, architecture):
    """For NVRTC: an entry with the name and the pointers of the one in the text, in PTX."""
    name, arguments = re.search(r"void (\w+)\(([^)]*)\)", text).groups()
    pointers = ",".join(f".param .u64 p{i}" for i in range(arguments.count(",") + 1))
    return f".version 8.0\n.target sm_{architecture}\n.visible .entry {name}({pointers})\n"


def replace_nvrtc(monkeypatch):
    """The names of what is compiled from here on."""
    compiled = []

    def noted(text, architecture):
        compiled.append(re.search(r"void (\w+)\(", text)[1])
        return stand_in(text, architecture)

    monkeypatch.setattr(_launch, "compiled", noted)
    monkeypatch.setattr(_launch, "architecture", lambda: 75)
    return compiled


def text_for(function, *args, platforms=("cuda",)):
    """The program of `function` in StableHLO."""
    return jax.jit(function).trace(*args).lower(lowering_platforms=platforms).as_text()


def calls(text):
    """For each call its attributes, and `operands`, `layouts` and `types` as text."""
    found = []
    for match in CALL.finditer(text):
        strings = dict(STRING.findall(match["rest"]))
        rest = STRING.sub("", match["rest"])  # A kernel's text has brackets of its own.
        numbers = {name: (int(value), kind) for name, value, kind in NUMBER.findall(rest)}
        found.append(numbers | strings | {"operands": match["operands"].split(", "), "rest": rest})
    return found
