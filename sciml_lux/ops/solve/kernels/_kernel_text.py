"""The text of a whole kernel, with its entry."""

from collections.abc import Sequence
from importlib import resources

from ...kernels import Source

BLOCK = 128
_INTEGERS = ("accepted", "steps", "evaluations", "result", "recorded", "stride")


def device_text(*names: str) -> str:
    """Files of the folder `device`, one after the other."""
    folder = resources.files(__name__.rpartition(".")[0]) / "device"
    return "\n".join((folder / name).read_text("utf-8") for name in names)


def source_of(
    entry: str,
    parts: Sequence[str],
    function: str,
    operands: Sequence[str],
    results: Sequence[str],
    mapped: Sequence[bool],
) -> Source:
    """The kernel that calls `function(given, found)` in one thread for each member of a batch.

    Args:
        entry: its name.
        parts: the text of what it calls.
        function: that function.
        operands: what each operand is in the C struct `Given`.
        results: what each result is in `Found`.
        mapped: of each operand, whether it has a batch axis, the last.
    """
    arguments = ["const int* size"]
    arguments += [f"const {_type(name)}* a{i}" for i, name in enumerate(operands)]
    arguments += [f"{_type(name)}* r{i}" for i, name in enumerate(results)]
    places = ["1, 0" if not is_mapped else "n, m" for is_mapped in mapped]
    lines = [
        "const long long n = size[0], m = blockIdx.x * (long long)blockDim.x + threadIdx.x;",
        "if (m >= n) return;",
        "Given given = {};",
        *(
            f"given.{name} = {{a{i}, {place}}};"
            for i, (name, place) in enumerate(zip(operands, places, strict=True))
        ),
        "Found found = {};",
        *(f"found.{name} = {{r{i}, n, m}};" for i, name in enumerate(results)),
        f"{function}(given, found);",
    ]
    head = f'extern "C" __global__ void __launch_bounds__({BLOCK}) {entry}'
    body = [f"    {line}" for line in lines]
    text = "\n".join([*parts, f"{head}(\n    {', '.join(arguments)}\n)", "{", *body, "}", ""])
    return Source(text, entry, BLOCK)


def numbered(name: str, number: int) -> list[str]:
    """The places of a C array."""
    return [f"{name}[{i}]" for i in range(number)]


def _type(name: str) -> str:
    return "int" if name in _INTEGERS else "real"
